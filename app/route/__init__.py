"""Routing: which model makes an asset whose plan leaves the model open, and why.

success_model.py   how likely an image passes, learned from verdicts
logistic.py        the statistics of the success model
cascade.py         the cheapest cascade that passes with enough confidence; pure
policy.py          learned policies: which decides now, which is on trial, rollback
router.py          the choice for a run, by the live policy and current image times
by_name.py         one model by its written reference
by_role.py         one deployed model for an interactive call
stages.py          which stage of a cascade an asset is in, and each stage's result
explain.py         why an asset was or would be made by its models
"""
