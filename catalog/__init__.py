"""What gateway and SyncService share: systems, sync pairs, operations, metrics, errors and keys, in PostgreSQL.

`catalog.manifest` reads what users write, `catalog.records` is what is handed out, `catalog.store.Catalog` keeps it;
`catalog.memory.MemoryCatalog` is its twin for tests.
"""
