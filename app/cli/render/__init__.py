"""Renders the results of commands for a person in a terminal."""
