"""Model families behind the engine's Pipeline protocol, and the starter's weights."""
