"""The store: blobs by their sha256, the catalog that describes them, and `publish.py`."""
