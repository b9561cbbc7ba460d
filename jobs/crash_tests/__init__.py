"""Crash tests of a bulk run: each part of it is killed or damaged in turn, and faults are counted.

One file per kind of test; `invariants.py` says what must never happen, `home.py` and `job.py` are
shared by the kinds.
"""
