"""A replica of one role: its engine, and the alias whose model versions it follows."""
