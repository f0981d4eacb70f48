"""`python -m catalog migrate`: bring the database of CATALOG_DSN to this version's state."""

from __future__ import annotations

import os
import sys

from catalog.errors import CatalogUnavailable
from catalog.store import Catalog


def main(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 failed, 2 usage."""
    dsn = os.environ.get("CATALOG_DSN")
    if arguments != ["migrate"] or not dsn:
        sys.stderr.write("usage: CATALOG_DSN=postgresql://… python -m catalog migrate\n")
        return 2
    try:
        with Catalog(dsn) as catalog:
            catalog.migrate()
    except CatalogUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("The catalog is up to date.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
