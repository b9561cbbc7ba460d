"""The benchmark of refining: plans with poor settings, each tried again by seed and with a reason.

workload.py  the models with their settings, and their plans
bench.py     the benchmark and its figures
render.py    prints the figures, and declares the benchmark
"""
