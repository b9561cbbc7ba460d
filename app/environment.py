"""The machine and the library versions that an image is made with, read once per process."""

import os
import platform
from collections.abc import Set
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from app.digest import digest
from app.types import Environment

LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow", "opencv-python-headless")
"""Libraries whose version may change pixels."""
BLAS_MODE = "MKL_CBWR"
"""The environment variable that sets MKL's mode of numerical reproducibility."""
STRICT_MODES = (("avx512f", "AVX512,STRICT"), ("avx2", "AVX2,STRICT"))
"""MKL's strict modes by the instruction set they need, the fastest first.

In strict mode a row's bits depend neither on the number of threads nor, from two rows on, on the
number of rows (Intel oneMKL Developer Guide, Conditional Numerical Reproducibility).
"""


def use_strict_blas() -> None:
    """Sets MKL's strict mode for this processor, unless the user has set a mode.

    MKL reads it at its first call, so call this before torch computes anything. No effect where
    torch uses another matrix library. The result is measured, not assumed: see
    `app/engine/exact_rows.py`. Safe to repeat.
    """
    if mode := strict_mode(cpu_flags()):
        os.environ.setdefault(BLAS_MODE, mode)


def strict_mode(flags: Set[str]) -> str:
    """Returns MKL's strict mode for a processor with these instruction sets; "" without one."""
    return next((mode for flag, mode in STRICT_MODES if flag in flags), "")


@cache
def environment() -> Environment:
    """Returns Python, platform, processor and library versions of this process."""
    use_strict_blas()
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        processor=_processor(),
        libraries={name: _version(name) for name in LIBRARIES},
        blas_mode=os.environ.get(BLAS_MODE, ""),
    )


@cache
def numerics_digest() -> str:
    """Returns the digest of what the bits of a sum depend on: processor, libraries, BLAS mode."""
    here = environment()
    return digest([here.processor, sorted(cpu_flags()), here.libraries, here.blas_mode])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    """Returns the processor's model name on Linux, else its architecture."""
    return _cpuinfo().get("model name") or platform.machine()


@cache
def cpu_flags() -> frozenset[str]:
    """Returns this processor's instruction sets under Linux's names; empty on other systems."""
    known = _cpuinfo()
    return frozenset((known.get("flags") or known.get("Features") or "").split())


@cache
def _cpuinfo() -> dict[str, str]:
    """Returns the entries of the first core in /proc/cpuinfo."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            first_core = file.read().partition("\n\n")[0]
    except OSError:
        return {}
    entries = (line.partition(":") for line in first_core.splitlines())
    return {name.strip(): value.strip() for name, _, value in entries}
