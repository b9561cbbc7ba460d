"""The machine that made an image: its BLAS mode is set before torch computes, and recorded."""

import os
import subprocess
import sys

import pytest

from app.environment import (
    BLAS_MODE,
    cpu_flags,
    environment,
    strict_mode,
    use_strict_blas,
)


@pytest.mark.parametrize(
    ("flags", "mode"),
    [
        ({"avx2", "avx512f"}, "AVX512,STRICT"),
        ({"avx2"}, "AVX2,STRICT"),
        ({"sse2"}, ""),  # MKL has no strict mode here; what row counts give is measured
        (set(), ""),  # another system, or a processor for which torch has another library
    ],
)
def test_the_strict_mode_follows_the_processor(flags: set[str], mode: str) -> None:
    assert strict_mode(flags) == mode


def test_a_mode_that_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLAS_MODE, "COMPATIBLE")
    use_strict_blas()
    assert os.environ[BLAS_MODE] == "COMPATIBLE"


def test_the_environment_records_the_mode() -> None:
    assert environment().blas_mode == os.environ.get(BLAS_MODE, "")


@pytest.mark.skipif(not strict_mode(cpu_flags()), reason="MKL has no strict mode on this processor")
@pytest.mark.slow
def test_a_model_is_never_loaded_in_another_mode() -> None:
    """In a process that sets nothing itself, as a worker that joins a cluster is one."""
    code = (
        "import os; from app.generate.renderer import load_engine\n"
        "from app.models.bundled import bundled_models; from app.settings import Settings\n"
        "load_engine(bundled_models()['starter'], Settings(), mode='exact')\n"
        f"print(os.environ['{BLAS_MODE}'])"
    )
    bare = {name: value for name, value in os.environ.items() if name != BLAS_MODE}
    done = subprocess.run(
        [sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith(",STRICT")
