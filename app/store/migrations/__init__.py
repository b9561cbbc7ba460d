"""The catalog's schema as numbered steps; each file in `versions/` says why it was needed."""
