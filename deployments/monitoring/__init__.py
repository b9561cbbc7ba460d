"""Metrics, the log of calls, and the Grafana dashboard."""
