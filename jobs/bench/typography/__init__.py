"""The benchmark of text: drawn by the starter, or set as text."""
