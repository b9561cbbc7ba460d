"""Monitoring: runs under way, finished runs, alerts, and the metrics of a service."""
