"""Shared by the stages of a run: the run, its waves and batches, Ray Data, progress, summary."""
