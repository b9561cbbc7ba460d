"""What is loaded when: help must be quick, and the engine must run where Ray is not."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "ray", "mlflow", "diffusers", "transformers")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "module",
    [
        "app.cli.main",
        "app.cli.output",
        "app.cli.models",
        "app.costs.forecast",
        "app.registry.references",
        "app.cli.render.assets",
        "jobs.__main__",
    ],
)
def test_the_doors_load_nothing_heavy(module: str) -> None:
    code = f"import {module}, sys; print(sorted(set({HEAVY}) & set(sys.modules)))"
    assert run(code) == "[]"


def test_plans_of_bundled_models_never_load_mlflow(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "atelier: 1\nname: one\nassets:\n- {name: a, kind: icon, sizes: [64], prompt: a red key}\n"
    )
    code = (
        f"import os, sys; sys.modules['mlflow'] = None; os.environ['ATELIER_HOME'] = '{tmp_path}'\n"
        f"from typer.testing import CliRunner; from app.cli.main import atelier\n"
        f"done = CliRunner().invoke(atelier, ['plan', '{plan}', '--json'])\n"
        "print(done.exit_code)"
    )
    assert run(code) == "0"


def test_the_engine_imports_without_ray() -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "import app.engine.engine, app.models.load, app.flow; print('loaded')"
    )
    assert run(code) == "loaded"


def test_importing_the_application_touches_nothing_on_disk() -> None:
    code = (
        "import os, pathlib, tempfile; folder = tempfile.mkdtemp(); os.chdir(folder)\n"
        "import app.cli.main, app.flow.make, app.settings, jobs.runtime.batches\n"
        "app.settings.Settings()\n"
        "print(list(pathlib.Path(folder).iterdir()))"
    )
    assert run(code) == "[]"
