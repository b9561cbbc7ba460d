"""Generate: renders requests into images of the store, with leases and provenance."""
