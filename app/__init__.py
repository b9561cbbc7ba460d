"""Atelier: plan -> route -> generate -> check -> refine -> finish -> pack -> store -> promote.

`app/<verb>` is the rule, `jobs/<verb>` is the rule in bulk; `app` knows no Ray. Read `flow.py`
(what becomes of one asset) and `jobs/bulk.py` (the same for a whole plan), and you know the house.

types.py      the values that flow           digest.py    identity: canonical JSON and sha256
value.py      what every value is            text_layer.py  text set over a picture
errors.py     the error tree                 settings.py  addresses, read at the edges only
plan/         what a person writes, expanded exactly
route.py      which model version answers a request, and why; route_preview.py for who waits
routing/      the choice among several models, light before heavy, and the reason kept
engine/       requests share denoising steps; company does not change an image
models/       model families behind the engine's Pipeline protocol; the starter's weights
backends/     whatever turns requests into images
check/        one number per measure, and the judge who applies the plan's rules
assurance/    what may go without a person, and bands that drift leaves
refine/       the next attempt, and what it changes for which reason
finish/       specks, trim, pivot, exact sizes
pack/         atlas pages and their metadata
store/        blobs by digest, the catalog, and the one way in
prices.py     what an attempt costs          estimate.py  what the rest of a plan may cost
alerts.py     what is wrong, of which kind    top.py    the runs under way; report.py later
keep.py       a picture somebody chose       keys.py      who may call, and how much
provenance.py where an image comes from      renderer.py  from a route to what renders it
flow.py       from a plan's request to a finished asset
registry.py   models in MLflow, which only this imports
golden.py     what a model makes of a set that never changes
promote.py    the gate, and one move of a pointer that can be taken back
replay.py     made again, and what differs   repair.py    what is gone comes back
cli/          the command `atelier`: a file for each of its words, and how answers are shown
"""
