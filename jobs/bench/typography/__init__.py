"""typography."""
