"""`deployments/<noun>` keeps a model warm: the interactive service on Ray Serve.

serve.yaml      how the service is shaped; the only place for its numbers
application.py  from those numbers to a Serve application
router.py       the doors and the way behind them: guard.py - surface.py - desk.py - ledger.py
replica.py      one engine on one model (studio.py), requests of all callers share it
succession.py   a replica follows its alias (alias.py): a version on trial (trial.py) beside the one
                that paints, then in its place (studios.py); live_fleet.py shows it to callers
service.py      Ray and Serve on this machine, from start to Ctrl-C

Whatever can be said without Ray stands in classes that know none.
"""
