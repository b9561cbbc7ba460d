"""The step engine: requests share forward passes and come and go between two steps."""
