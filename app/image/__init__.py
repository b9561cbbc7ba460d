"""PNG encoding and decoding, resizing, and reading what a request starts from."""
