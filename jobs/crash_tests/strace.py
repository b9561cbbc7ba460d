"""Attaches strace to a process that waits for it: one publish is traced, killed, or failed."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from app.errors import BackendError

CALLS = (
    "openat,write,writev,pwrite64,pwritev,fsync,fdatasync,sync_file_range,ftruncate,fallocate,"
    "link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,symlink,symlinkat,"
    "chmod,fchmod,fchmodat"
)
"""Every call by which a publish changes the disk or makes a change durable."""
_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
_LINE = re.compile(
    r"^(?P<thread>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<name>\w+)\()(?P<rest>.*)$"
)
_FAILED = re.compile(r"\) += -1 ")
_PATH = re.compile(r'<(/[^>]*)>|"(/[^"]*)"')


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One system call: its thread, the paths it names, and its result."""

    thread: int
    name: str
    paths: tuple[str, ...]
    text: str
    failed: bool

    @property
    def injected(self) -> bool:
        """Returns whether the fault was injected into this call."""
        return "(INJECTED)" in self.text

    @property
    def target(self) -> str:
        """Returns the call and the kind of file it was for."""
        suffixes = [_file_kind(path) for path in self.paths]
        return f"{self.name} {suffixes[-1] if suffixes else ''}".strip()


def missing_tool() -> str:
    """Returns why nothing can be traced here; empty when tracing works."""
    if shutil.which("strace") is None:
        return "strace is not installed here; run: apt-get install strace"
    scope = _SCOPE.read_text().strip() if _SCOPE.exists() else "0"
    if scope != "0" and os.geteuid() != 0:
        return f"strace may not attach here: {_SCOPE} is {scope}; set it to 0 or run this as root"
    return ""


@contextmanager
def attach_strace(pid: int, *, inject: str = "") -> Iterator[list[SystemCall]]:
    """Traces a process until it ends; its calls are in the list once the context is left.

    `inject` is strace's own expression, such as `fsync:error=EIO:when=2`; calls are counted per
    thread.
    """
    calls: list[SystemCall] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = ["strace", "-f", "-y", "-s", "0", "-o", str(log), "-p", str(pid)]
        command += ["-e", f"trace={CALLS}"] + (["-e", f"inject={inject}"] if inject else [])
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            assert tracer.stderr is not None
            _await_attachment(tracer.stderr)
            yield calls
            tracer.stderr.read()  # to its end, which is the process's end
        calls += _read(log)


def _await_attachment(log: IO[str]) -> None:
    heard = ""
    for line in log:
        heard += line
        if "attached" in line:
            return
    raise BackendError(f"strace did not attach: {heard.strip()}", backend="strace")


def _read(log: Path) -> list[SystemCall]:
    """Returns the calls in the order in which they ended."""
    begun: dict[tuple[int, str], str] = {}
    calls: list[SystemCall] = []
    for line in log.read_text().splitlines():
        match = _LINE.match(line)
        if not match:
            continue  # an exit or a signal
        thread, name = int(match["thread"]), match["name"] or match["resumed"]
        text = begun.pop((thread, name), "") + match["rest"]
        if text.endswith("<unfinished ...>"):
            begun[thread, name] = text
            continue
        paths = tuple(bracketed or quoted for bracketed, quoted in _PATH.findall(text))
        calls.append(SystemCall(thread, name, paths, text, failed=_FAILED.search(text) is not None))
    return calls


def _file_kind(path: str) -> str:
    """Returns draft, blob or folder for random names; other files keep their own name."""
    name, folder = PurePath(path).name, PurePath(path).parent.name
    if folder == "tmp":
        return "draft"
    if len(name) == 64:
        return "blob"
    return "folder" if len(name) == 2 or name in ("tmp", "blobs") else name
