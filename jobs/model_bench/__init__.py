"""What `atelier bench` consists of: workload, workers, figures, comparison, record."""
