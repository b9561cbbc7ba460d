"""Benchmarks of Atelier itself, for its developers: one package per subject."""
