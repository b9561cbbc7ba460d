"""One file a step, named by its revision: 0001 is the first."""
