"""The model registry: versions and golden results in MLflow, benchmarks, and promotion."""
