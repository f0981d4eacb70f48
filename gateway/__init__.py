"""The gateway: the only door. It knows keys and scopes, reads the catalog, forwards writes to SyncService over HTTP,
and keeps SyncService running. It never imports `syncservice`."""
