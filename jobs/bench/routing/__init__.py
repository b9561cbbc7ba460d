"""The benchmark of routing: one plan, made with each strategy of choosing its models.

fleet.py      the models of the benchmark
workload.py   the plan and the assets it asks for
simulator.py  makes assets in this process and counts the cost
ablations.py  what splitting the work between models is worth
bench.py      the benchmark and its figures
render.py     prints and draws the figures, and declares the benchmark
"""
