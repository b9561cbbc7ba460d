"""The proof that a run survives: everything around a run is broken in turn, and counted.

One file per kind of trial; `laws.py` says what must never happen, `home.py` and `job.py` are
what the kinds share.
"""
