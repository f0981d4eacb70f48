"""SyncService's REST API: what the gateway forwards, on the loopback, behind a shared token."""
