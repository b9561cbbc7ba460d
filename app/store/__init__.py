"""Blobs under their sha256, the catalog of what they are, and the one way in (`publish.py`)."""
