"""Benchmarks and crash tests of a Ray cluster whose machines come and go."""
