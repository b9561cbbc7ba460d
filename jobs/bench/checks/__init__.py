"""The benchmark of the checks, on a set of images with known defects."""
