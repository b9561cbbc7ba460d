"""The benchmark of routing: one plan, made by each way of choosing its models.

fleet.py   the models of the benchmark        work.py       the plan, and the assets it asks for
player.py  makes assets and counts the cost   contrasts.py  what splitting the work is worth
"""
