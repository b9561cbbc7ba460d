"""Refine: which requests follow when the candidates so far were not good enough.

attempts.py    the next attempts: the plan's own, then by the next seed, or by a reason
changes.py     what may be changed in a request, one parameter at a time, and what that costs
experience.py  how often each change mended each fault, before and after anything was learned
learned.py     what the catalog's outcomes teach, and which of it a plan keeps to
"""

from app.refine.attempts import next_attempts as next_attempts
