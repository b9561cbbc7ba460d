"""Whatever turns requests into images, behind one protocol."""
