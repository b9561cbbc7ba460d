"""What `python -m jobs bench` consists of: workload, workers, figures, comparison, record."""
