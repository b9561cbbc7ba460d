"""Checks: every measure is one number from one function, and the judge applies the plan's rules.

A check never decides; `judge.py` does, and names the rule that spoke.
"""
