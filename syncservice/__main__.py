"""`python -m syncservice`: run SyncService."""

from __future__ import annotations

from syncservice.bootstrap import serve

if __name__ == "__main__":
    serve()
