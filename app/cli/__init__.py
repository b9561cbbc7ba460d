"""The command `atelier`: a file for each of its words, and how answers are shown to people."""
