"""`python -m jobs`: `bulk` is the entry point of Ray jobs, `dev` holds the developers' commands.

Everything else that a person does is a command of `atelier`; see `jobs/commands.py`.
"""

from importlib.util import find_spec

import typer

from app.environment import use_strict_blas
from jobs.commands import bulk

jobs = typer.Typer(
    help="The entry point of Ray jobs; people use `atelier`.",
    no_args_is_help=True,
    add_completion=False,
)
jobs.command()(bulk)
if find_spec("jobs.bench"):  # an installed wheel comes without the developers' parts
    from jobs.bench.commands import dev

    jobs.add_typer(dev, name="dev")

if __name__ == "__main__":
    use_strict_blas()
    jobs()
