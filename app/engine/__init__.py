"""The step engine: requests share forward passes, and join and leave between two steps."""
