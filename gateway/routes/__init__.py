"""The routes, one module a resource. What each asks for is in `gateway/access.py`."""
