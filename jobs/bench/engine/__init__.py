"""The benchmark of the step engine."""
