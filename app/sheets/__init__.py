"""Sheets: contact sheets of runs and reports of benchmarks, as HTML and PNG."""
