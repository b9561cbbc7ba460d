"""Atlas metadata, one file per format that engines read."""
