"""Runs on a Ray cluster: submitting plans as jobs, following them, and a minimum of machines."""
