"""What is loaded when: help must be quick, and the engine must run where Ray is not."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "mlflow", "diffusers", "transformers")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module", ["app.cli", "app.doors", "app.outlook", "app.show", "jobs.__main__"]
)
def test_the_doors_load_nothing_heavy(module: str) -> None:
    code = f"import {module}, sys; print(sorted(set({HEAVY}) & set(sys.modules)))"
    assert run(code) == "[]"


def test_the_engine_imports_without_ray() -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "import app.engine.engine, app.models.load, app.flow; print('loaded')"
    )
    assert run(code) == "loaded"


def test_importing_the_application_touches_nothing_on_disk() -> None:
    code = (
        "import os, pathlib, tempfile; folder = tempfile.mkdtemp(); os.chdir(folder)\n"
        "import app.cli, app.flow, app.settings, jobs.batches; app.settings.Settings()\n"
        "print(list(pathlib.Path(folder).iterdir()))"
    )
    assert run(code) == "[]"
