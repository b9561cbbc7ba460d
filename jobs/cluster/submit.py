"""Submits a plan as a job of a Ray cluster; repeated submission finds the same job.

Committed results stay, so a job that ended and is submitted again continues as a local run does.
"""

import re
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ray.job_submission import JobDetails, JobSubmissionClient

from app.digest import canonical_json, digest_bytes
from app.errors import InvalidRequest
from app.monitor.history import state_of
from app.plan.schema import Plan
from app.settings import Settings
from app.store.catalog import Catalog, RunRecord
from app.store.mapping import timestamp
from jobs.cluster.follow import JobEnd, follow
from jobs.cluster.job_client import ACTIVE, JOB_TAG, atelier_jobs, connect
from jobs.cluster.package import PLAN_FILE, write_package

STOP_SECONDS = 30
"""Seconds a stopped run has to release its claims and record its end, before it is killed."""
_HOME = "say on the cluster where things are: set it for ray start, see cluster.yaml"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that was submitted and has not ended."""

    id: str
    client: JobSubmissionClient


def submit(plan: Plan, file: Path, url: str, options: list[str], say: Say) -> Submission:
    """Returns the plan's job that is running on the cluster, or submits a new one.

    Its id is the plan's digest and a count of the jobs before it, so a lost answer does not make a
    second job. Raises what `connect` raises.
    """
    client = connect(url)
    digest = digest_bytes(canonical_json(plan.as_json()))
    with tempfile.TemporaryDirectory() as folder:
        size = write_package(Path(folder), plan, file)
        while True:
            before = _jobs_of(client, plan, digest)
            if before and before[0].status in ACTIVE:
                job_id = str(before[0].submission_id)
                say(f"job {job_id} of this plan is under way already; following it")
                return Submission(job_id, client)
            job_id = f"{_stem(plan, digest)}-{len(before) + 1}"
            say(f"job {job_id}: {size / 2**20:.1f} MiB of code, plan and pictures")
            if _try_submit(client, job_id, plan, digest, folder, options):
                return Submission(job_id, client)


def _try_submit(
    client: JobSubmissionClient,
    job_id: str,
    plan: Plan,
    digest: str,
    folder: str,
    options: list[str],
) -> bool:
    """Returns whether the cluster took the job under this id; False if another caller was first."""
    environment = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS), "ATELIER_USER": Settings().user}
    try:
        client.submit_job(
            entrypoint=_entrypoint(options),
            submission_id=job_id,
            runtime_env={"working_dir": folder, "env_vars": environment},
            metadata={JOB_TAG: "bulk", "plan": plan.name, "plan_digest": digest},
        )
    except RuntimeError:
        if any(job.submission_id == job_id for job in atelier_jobs(client)):
            return False
        raise
    return True


def _entrypoint(options: list[str]) -> str:
    """Requires ATELIER_HOME: otherwise results would vanish with the code that Ray unpacked."""
    command = shlex.join(["python", "-m", "jobs", "bulk", PLAN_FILE, "--json", *options])
    return f': "${{ATELIER_HOME:?{_HOME}}}" && exec {command}'


def _stem(plan: Plan, digest: str) -> str:
    return f"atelier-{plan.name}-{digest[:12]}"


def _jobs_of(client: JobSubmissionClient, plan: Plan, digest: str) -> list[JobDetails]:
    """Returns the plan's jobs, running ones first."""
    numbered = re.compile(re.escape(_stem(plan, digest)) + r"-\d+")
    jobs = [job for job in atelier_jobs(client) if numbered.fullmatch(job.submission_id or "")]
    return sorted(jobs, key=lambda job: job.status not in ACTIVE)


def follow_to_end(submission: Submission, url: str, say: Say, *, stops: bool) -> JobEnd:
    """Follows a job until it ends. Ctrl-C leaves it running; with `stops` it stops the job cleanly.

    Raises KeyboardInterrupt, with the commands to continue, when following is interrupted.
    """
    try:
        return follow(submission.client, submission.id, say)
    except KeyboardInterrupt as interrupt:
        if not stops:
            raise KeyboardInterrupt(
                f"job {submission.id} goes on without you; the same command follows it again, and "
                f"this stops it: atelier runs stop {submission.id} --cluster {url}"
            ) from interrupt
    return stop_job(submission, say)


def stop_job(submission: Submission, say: Say) -> JobEnd:
    """Stops a job cleanly and waits until it has ended; the same plan continues later."""
    say(f"stopping job {submission.id}; it has {STOP_SECONDS} s to put things in order")
    submission.client.stop_job(submission.id)
    return follow(submission.client, submission.id, say)


def find_job(name: str, url: str, settings: Settings) -> Submission:
    """Returns the running job with this id, or the one that makes the run with this id.

    Raises InvalidRequest when there is none, CatalogError for a run that is not known.
    """
    client = connect(url)
    active = [job for job in atelier_jobs(client) if job.status in ACTIVE]
    ids = [str(job.submission_id) for job in active]
    if name in ids:
        return Submission(name, client)
    run = Catalog.open(settings.catalog).run(name)
    job_ids = [str(job.submission_id) for job in active if _could_be_run(job, run)]
    if run.ended_at or len(job_ids) != 1:
        raise InvalidRequest(_not_found(run, url, ids))
    return Submission(job_ids[0], client)


def _could_be_run(job: JobDetails, run: RunRecord) -> bool:
    """Returns whether the run is of the job's plan and began after the job."""
    began = timestamp((job.start_time or 0) / 1000)
    return (job.metadata or {}).get("plan_digest") == run.plan_digest and began <= run.started_at


def _not_found(run: RunRecord, url: str, ids: list[str]) -> str:
    if run.ended_at:
        return f"run {run.run_id} has {state_of(run)} already; there is nothing to stop"
    under_way = ", ".join(ids) or "none"
    return (
        f"no job at {url} is known to make run {run.run_id} (under way there: {under_way}); a run "
        "on a machine of yours is stopped by Ctrl-C in its terminal, or by kill -TERM with the "
        "process id of its `jobs.commands run`"
    )
