"""Checks the order of a publish: bytes, their sync, the create-only link, folder sync, the row."""

from collections.abc import Sequence
from pathlib import PurePath

from app.store.blobs import is_digest
from jobs.crash_tests.strace import SystemCall


def order_violations(calls: Sequence[SystemCall]) -> list[str]:
    """Returns what a publish to a folder and SQLite did too early or not at all; empty when right.

    Each blob's draft is written and synced before it is linked, the link fails if the name is
    taken, and before any later row the folder that holds it is synced, as is the folder above every
    new one.
    """
    links = [n for n, call in enumerate(calls) if _links_blob(call)]
    faults = ["no blob was linked"] if not links else []
    for n in links:
        draft, blob = calls[n].paths[0], calls[n].paths[-1]
        faults += _before(calls[:n], draft, blob)
        faults += _after(calls[n + 1 :], blob)
    for n, call in enumerate(calls):
        if call.name.startswith("mkdir") and not call.failed:
            faults += _settled(calls[n + 1 :], call.paths[-1])
    renamed = [call.text for call in calls if call.name.startswith("rename")]
    return faults + [f"not create-only: {text}" for text in renamed]


def _links_blob(call: SystemCall) -> bool:
    return call.name.startswith("link") and not call.failed and is_digest(_name(call.paths[-1]))


def _before(calls: Sequence[SystemCall], draft: str, blob: str) -> list[str]:
    of_draft = [call.name for call in calls if draft in call.paths and not call.failed]
    written = [n for n, name in enumerate(of_draft) if "write" in name]
    synced = [n for n, name in enumerate(of_draft) if name in ("fsync", "fdatasync")]
    if not written:
        return [f"{_name(blob)}: linked before it was written"]
    if not synced or synced[-1] < written[-1]:
        return [f"{_name(blob)}: linked before its bytes were synced"]
    return []


def _after(calls: Sequence[SystemCall], blob: str) -> list[str]:
    folder = str(PurePath(blob).parent)
    settled = [n for n, call in enumerate(calls) if call.name == "fsync" and folder in call.paths]
    rows = [n for n, call in enumerate(calls) if call.name == "pwrite64" and _of_log(call)]
    synced = [n for n, call in enumerate(calls) if "sync" in call.name and _of_log(call)]
    if not settled:
        return [f"{_name(blob)}: its folder was never synced"]
    if not rows or rows[0] < settled[0]:
        return [f"{_name(blob)}: a row was written before the folder was synced"]
    if not synced or synced[-1] < rows[0]:
        return [f"{_name(blob)}: the row was never synced"]
    return []


def _settled(calls: Sequence[SystemCall], made: str) -> list[str]:
    above = str(PurePath(made).parent)
    for call in calls:
        if call.name == "fsync" and above in call.paths:
            return []
        if call.name == "pwrite64" and _of_log(call):
            break
    return [f"{made}: a row was written before the folder above it was synced"]


def _of_log(call: SystemCall) -> bool:
    return any(path.endswith("-wal") for path in call.paths)


def _name(path: str) -> str:
    return PurePath(path).name
