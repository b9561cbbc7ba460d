"""The models that can be called: versions by reference, prices, and what hosted ones accept."""
