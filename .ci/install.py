"""Installs Atelier into this Python's environment; shows one line, and pip's words if it fails.

Usage: python .ci/install.py '.[serve]'
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off")
UNITS = {"kB": 1e-6, "MB": 1e-3, "GB": 1.0}
FILE = re.compile(r"(?:Downloading|Using cached) \S+ \(([\d.]+) (kB|MB|GB)\)")


def main(requirement: str = ".") -> int:
    """Runs pip on an editable requirement; returns its exit status."""
    size = ": about 2 GB on disk with the CPU build of PyTorch, some minutes, once"
    print(
        f"installing {requirement} and its libraries{size if requirement == '.' else ''}",
        flush=True,
    )
    command = [*PIP, "--constraint", "constraints.txt", "--editable", requirement]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        lines = list(shown(pip.stdout))
    if pip.returncode:
        print("", *lines[-20:], sep="\n")
    return pip.returncode


def shown(lines: Iterable[str]) -> Iterator[str]:
    """Yields pip's lines; shows the packages and bytes seen so far, on a terminal in place."""
    live = sys.stdout.isatty()
    packages, gigabytes = 0, 0.0
    for line in lines:
        yield line.rstrip()
        packages += line.startswith("Collecting ")
        if size := FILE.search(line):
            gigabytes += float(size[1]) * UNITS[size[2]]
        if line.startswith("Installing collected"):
            print(f"\r  {packages} packages, {gigabytes:.1f} GB of files; unpacking", flush=True)
        elif live:
            print(f"\r  {packages} packages, {gigabytes:.1f} GB of files", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
