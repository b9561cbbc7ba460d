"""Atelier: plan -> route -> generate -> check -> refine -> finish -> pack -> store -> promote.

Each package is named after the verb or noun it handles. `app` does not import Ray; `jobs/` runs
the same steps in bulk. Read `flow/make.py` (what happens to one asset) and `jobs/bulk.py` (the
same for a whole plan) first.

types/        the values that pass between packages
image/        PNG, resizing, and images or latents that a request starts from
fleet/        model versions by reference, prices, budgets, what a hosted model accepts
engine/       the step engine: requests share denoising steps; batching never changes an image
plan/         the plan file: read, validated with all faults at once, expanded exactly
check/        quality measures, one number each, and the judge that applies a plan's rules
finish/       clean alpha, trim, pivot, exact sizes
pack/         atlas pages and their metadata formats
models/       model families behind the engine's Pipeline protocol; the bundled models
backends/     everything that turns requests into images: echo, hosted models, a running service
store/        blobs by digest, the catalog database, publishing, the cost ledger
generate/     from a resolved route to a generated and recorded image
refine/       which requests follow when the candidates so far did not pass
accept/       the acceptance gate: calibrated risk, drift, which images a person must review
route/        the choice among several models, cheap before expensive, with the reason kept
registry/     registered models in MLflow, golden sets, benchmarks, promotion
assets/       selecting, exporting, replaying and repairing finished assets
flow/         one asset from its request to its finished files
costs/        estimates, forecasts and invoices
sheets/       contact sheets, grids and benchmark reports
review/       HTML pages on which a person reviews images
api/          what the HTTP service accepts and answers; API keys
monitor/      running and past runs, service metrics, alerts
cli/          the command `atelier`

errors.py          the error tree
digest.py          canonical JSON and sha256
settings.py        addresses and options from the environment
environment.py     the machine and the library versions that made an image
ray_environment.py environment variables that keep Ray's start quiet
"""
