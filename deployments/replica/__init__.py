"""A replica of one role: its engine, and the alias whose versions it follows."""
