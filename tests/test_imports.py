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


CORE_ONLY = """
import re, sys
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from packaging.requirements import Requirement

def core(name, extras, seen):
    if (name, extras) in seen:
        return seen
    seen.add((name, extras))
    try:
        requires = distribution(name).requires or []
    except PackageNotFoundError:
        return seen
    for need in map(Requirement, requires):
        if need.marker is None or any(need.marker.evaluate({"extra": e}) for e in ("", *extras)):
            core(re.sub("[-_.]+", "-", need.name).lower(), tuple(sorted(need.extras)), seen)
    return seen

names = {name for name, _ in core("atelier", (), set())}
owners = packages_distributions().items()
tidy = lambda name: re.sub("[-_.]+", "-", name).lower()
left_out = {package for package, of in owners if not names & set(map(tidy, of))}

class CorePaths:
    find_distributions = staticmethod(PathFinder.find_distributions)

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in left_out
        return None if hidden else PathFinder.find_spec(name, path, target)

sys.meta_path = [CorePaths() if finder is PathFinder else finder for finder in sys.meta_path]
"""
"""Hides every package that the extras bring, as if only the core were installed."""


def test_the_starter_makes_and_checks_an_image_with_the_core_alone(tmp_path: Path) -> None:
    code = CORE_ONLY + (
        "import importlib.util as util\n"
        "assert not any(map(util.find_spec, ('mlflow', 'fastapi', 'scipy', 'httpx')))\n"
        "from app.settings import Settings\n"
        "from app.fleet.versions import resolve\n"
        "from app.generate.renderer import load_engine\n"
        "from app.models.bundled import bundled_models, critic_folder_of\n"
        "from app.check.agreement import Critic\n"
        "from app.types import GenerationRequest\n"
        "import jobs.bulk, jobs.rerun\n"
        f"from pathlib import Path; settings = Settings(home=Path('{tmp_path}'))\n"
        "model = resolve('starter', bundled_models())\n"
        "engine = load_engine(model, settings, mode='reproducible', images=None)\n"
        "request = GenerationRequest(prompt='a red key', width=64, height=64,"
        " num_inference_steps=1, guidance_scale=1)\n"
        "(image,) = engine.generate([request]); Critic.load(critic_folder_of(model))\n"
        "print(image.pixels.shape)"
    )
    assert run(code) == "(64, 64, 4)"
