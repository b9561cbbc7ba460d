"""Model families behind the engine's Pipeline protocol, and the bundled models' weights."""
