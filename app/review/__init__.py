"""Review: pages on which a person sees what was made and what was said of it."""
