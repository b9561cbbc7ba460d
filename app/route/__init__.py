"""Routing: who makes an asset whose plan leaves the model open, and why.

chances.py   how likely a picture passes, learned from verdicts   additive.py  the sums behind it
ladder.py    the cheapest way that surely passes, and all that was weighed; pure
policy.py    which of what was learned decides now, is on trial, and is taken back
choice.py    the choice for a run, by the policy that holds and what images take now
turns.py     whose turn it is at an asset, and what each turn came to
learn.py     the catalog's verdicts become a policy               explain.py   why, told afterwards
"""
