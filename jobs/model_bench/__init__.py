"""The parts of `atelier bench`: workload, workers, figures, comparison, history."""
