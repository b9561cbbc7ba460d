"""The benchmark of a bulk run: what it costs besides generation."""
