"""The command `atelier`: a file for each group of commands, and the rendering of their results."""
