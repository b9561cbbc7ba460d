"""Checks: every measure is one number from one function; the judge applies the plan's rules.

A check never decides; `judge.py` does, and names each broken rule.
"""
