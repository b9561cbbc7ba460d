"""Refine: chooses the next requests when the candidates so far were not good enough.

attempts.py    the next attempts: by the next seed, or by a change with a reason
changes.py     what may be changed in a request, one parameter at a time, and its cost
statistics.py  how often each change fixed each fault: priors, and counts from the catalog
"""

from app.refine.attempts import next_attempts as next_attempts
