"""The catalog's schema as numbered migrations; each file in `versions/` says why it was needed."""
