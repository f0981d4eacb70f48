"""The catalog's queries, one module an idea; `catalog.store.Catalog` puts them together."""
