"""Everything that turns requests into images, behind one protocol."""
