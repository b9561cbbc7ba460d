"""The HTTP API: request and response bodies, API keys, and keeping an image as an asset."""
