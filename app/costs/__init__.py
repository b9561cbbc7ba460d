"""Costs: estimates, forecasts of plans, and reconciliation with invoices."""
