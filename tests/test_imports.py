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


def test_help_loads_neither_the_catalog_nor_the_settings() -> None:
    slow = ("sqlalchemy", "pydantic_settings", "numpy", "cv2", "app.plan.schema")
    code = f"import app.cli.main, sys; print(sorted(set({slow}) & set(sys.modules)))"
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


def without(package: str, arguments: list[str], home: Path) -> str:
    """What a command prints where a package of an extra is not installed."""
    code = (
        "import importlib.util as util, os, sys\n"
        f"found, gone = util.find_spec, '{package}'; sys.modules[gone] = None\n"
        "util.find_spec = lambda name, *rest: None if name == gone else found(name, *rest)\n"
        f"os.environ['ATELIER_HOME'] = '{home}'; sys.argv = {['atelier', *arguments]}\n"
    )
    start = "from app.cli.main import main; main()"
    if arguments[0] == "serve":
        start = "from deployments.__main__ import commands; commands()"
    done = subprocess.run(
        [sys.executable, "-c", code + start], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("fastapi", "serve", ["serve"]),
        ("mlflow", "registry", ["models", "list"]),
    ],
)
def test_a_missing_extra_is_named(
    package: str, extra: str, arguments: list[str], tmp_path: Path
) -> None:
    assert f"pip install 'atelier[{extra}]'" in without(package, arguments, tmp_path)


def test_a_run_needs_no_package_of_the_service_or_the_registry() -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(('fastapi', 'starlette', 'uvicorn', 'mlflow'))\n"
        "import jobs.bulk, jobs.rerun, jobs.commands, app.models.load; print('loaded')"
    )
    assert run(code) == "loaded"
