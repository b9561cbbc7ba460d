"""The machine and the libraries an image was made with, read once per process."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from app.types import Environment

LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow", "opencv-python-headless")
"""Those whose change may change pixels."""


@cache
def environment() -> Environment:
    """Python, platform, processor and library versions of this process."""
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        processor=_processor(),
        libraries={name: _version(name) for name in LIBRARIES},
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    """The processor's own name where Linux tells it, else its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
