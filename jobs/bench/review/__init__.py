"""The benchmark of review: how much is left for people, and what escapes."""
