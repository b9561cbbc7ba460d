"""One file per migration, named by its revision: 0001 is the first."""
