"""Runs one plan on one machine, on two and on three, and compares every byte of the results."""

from pathlib import Path

from app.cli.output import Say
from app.digest import digest_bytes
from app.errors import BackendError
from app.types import Value
from jobs.bench.cluster.machines import machines
from jobs.crash_tests import invariants
from jobs.crash_tests.home import CrashTestHome, crash_test_plan
from jobs.crash_tests.job import BulkProcess, ending_all

NODES = (1, 2, 3)
SLOW = {"ATELIER_ECHO_SECONDS": "0.2"}


class ClusterSize(Value):
    """The results of the plan on this many machines; equal digests are equal bytes."""

    nodes: int
    images: int
    files: int
    files_digest: str
    """Of the sorted digests of every file in the store except the plan's own document."""
    rows_digest: str
    """Of every asset's and page's row, without times and the run's id."""


def run_sizes(assets: int, folder: Path, say: Say) -> tuple[ClusterSize, ...]:
    """Runs the plan, with retries, in separate homes on one cluster that grows between runs."""
    slow = CrashTestHome(folder / "m").environment(**SLOW)
    with machines(folder / "m", slow, 0) as cluster:
        results = []
        for nodes in NODES:
            cluster.scale_to(nodes)
            home = CrashTestHome(folder / str(nodes))
            joining = home.environment(**cluster.join_environment, ATELIER_CLUSTER_GPUS=str(nodes))
            job = BulkProcess(home.write(crash_test_plan(assets)), joining, workers=nodes)
            with ending_all([job]):
                code, output = job.end()
            if code != 0:
                raise BackendError(f"the run on {nodes} nodes: {output}", backend="bulk")
            results.append(_run_size(nodes, home))
            say(f"{results[-1].images} images on {nodes} nodes: {results[-1].rows_digest[:12]}")
    return tuple(results)


def _run_size(nodes: int, home: CrashTestHome) -> ClusterSize:
    manifest = invariants.manifest(home)
    store = home.open()
    try:
        files = sorted(invariants.referenced_blobs(store))
        images = len(store.catalog.find_images())
        whole = [digest_bytes(store.blobs.get(digest)) for digest in files]
    finally:
        store.catalog.close()
    return ClusterSize(
        nodes=nodes,
        images=images,
        files=len(files),
        files_digest=digest_bytes("\n".join(whole).encode()),
        rows_digest=digest_bytes(manifest),
    )
