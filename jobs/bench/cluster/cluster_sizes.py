"""Widths: one plan on one machine, on two and on three, and every byte of what it came to."""

from pathlib import Path

from app.digest import digest_bytes
from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.machines import machines
from jobs.crash_tests import invariants as laws
from jobs.crash_tests.baseline import Say
from jobs.crash_tests.home import Home, trial_plan
from jobs.crash_tests.job import Job, cleared

NODES = (1, 2, 3)
SLOW = {"ATELIER_ECHO_SECONDS": "0.2"}


class Width(Value):
    """What the plan came to on so many machines; equal digests are equal bytes."""

    nodes: int
    images: int
    files: int
    files_digest: str
    """Of the digests of every file in the store but the plan's own document, sorted."""
    rows_digest: str
    """Of every asset's and page's row, without the times and the run's id."""


def widths(assets: int, folder: Path, say: Say) -> tuple[Width, ...]:
    """One cluster that grows between runs, each in a home of its own; rounds of retries too."""
    slow = Home(folder / "m").environment(**SLOW)
    with machines(folder / "m", slow, 0) as cluster:
        found = []
        for nodes in NODES:
            cluster.grow(nodes)
            home = Home(folder / str(nodes))
            joining = home.environment(**cluster.joining, ATELIER_CLUSTER_GPUS=str(nodes))
            job = Job(home.write(trial_plan(assets)), joining, workers=nodes)
            with cleared([job]):
                code, output = job.end()
            if code != 0:
                raise BackendError(f"the run on {nodes} nodes: {output}", backend="bulk")
            found.append(_width(nodes, home))
            say(f"{found[-1].images} images on {nodes} nodes: {found[-1].rows_digest[:12]}")
    return tuple(found)


def _width(nodes: int, home: Home) -> Width:
    manifest = laws.manifest(home)
    store = home.open()
    try:
        files = sorted(laws.named(store))
        images = len(store.catalog.find_images())
        whole = [digest_bytes(store.blobs.get(digest)) for digest in files]
    finally:
        store.catalog.close()
    return Width(
        nodes=nodes,
        images=images,
        files=len(files),
        files_digest=digest_bytes("\n".join(whole).encode()),
        rows_digest=digest_bytes(manifest),
    )
