"""The HTTP API: requests and responses, keys, and keeping a chosen image."""
