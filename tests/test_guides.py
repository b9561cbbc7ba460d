"""The guides are true: commands run, options and settings exist, plans are valid, links lead on.

A guide is the README.md of a room, and the one at the front. What its ```sh blocks hold can be run
as it stands, from the repository's root and in order; ```console blocks are only read.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from app.backends.echo import EchoSettings
from app.models.bundled import bundled_models
from app.plan.expand import expand
from app.plan.json_schema import plan_schema
from app.plan.read import read_plan
from app.settings import Settings

ROOT = Path(__file__).parents[1]
FRONT = ROOT / "README.md"
ROOMS = (
    *("app/plan", "app/check", "app/accept", "app/route", "app/registry", "app/costs"),
    *("app/monitor", "app/store", "app/cli", "deployments"),
    *("jobs/cluster", "jobs/bench", "jobs/train", "jobs/crash_tests"),
)
"""Rooms that have a guide, each linked from the front."""
CARDS = (ROOT / "app" / "models" / "starter", ROOT / "app" / "models" / "fonts")
"""What comes with weights and fonts: cards, whose commands take hours."""
LONGEST_FRONT = 9_000
IN_TESTS = {"ATELIER_FAULT"}
"""Read by parts that tests break, and no setting of whoever uses Atelier."""
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SETTING = re.compile(r"ATELIER_[A-Z_]*[A-Z]")
_CALL = re.compile(r"(?:^|[\s(;&|])(?:\.venv/bin/)?(atelier|python -m jobs)((?:[ ][^\n;&|#<>)]+)?)")


def _guides() -> list[Path]:
    below = [
        path for room in ("app", "deployments", "jobs") for path in (ROOT / room).rglob("*.md")
    ]
    rooms = [path for path in below if path.name == FRONT.name]
    return [FRONT, *sorted(path for path in rooms if not _is_card(path))]


def _is_card(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in CARDS)


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _blocks(path: Path, *languages: str) -> list[str]:
    return [text for language, text in _FENCED.findall(path.read_text()) if language in languages]


def _prose(path: Path) -> str:
    return _FENCED.sub("", path.read_text())


GUIDES = _guides()
RUNNABLE = [path for path in GUIDES if _blocks(path, "sh")]
PAGES = [*GUIDES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]
each_guide = pytest.mark.parametrize("guide", GUIDES, ids=_named)


@pytest.mark.slow
@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("guide", RUNNABLE, ids=_named)
def test_the_commands_of_a_guide_run_in_their_order(guide: Path, tmp_path: Path) -> None:
    """Typed into one shell, in a folder that has all that the repository's root has.

    Those of the front page start their own Ray, the others join one.
    """
    here = _linked_root(tmp_path / "here")
    ray = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    environment = _environment(tmp_path) | (ray if guide != ROOT / "README.md" else {})
    done = subprocess.run(
        ["bash", "-exc", "".join(_blocks(guide, "sh"))],
        cwd=here, env=environment, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-8000:]}"


def _linked_root(folder: Path) -> Path:
    """A folder with links to what the root holds, so that what is written there stays there."""
    folder.mkdir()
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    for entry in ROOT.iterdir():
        if entry.name == ".venv" or not (entry.name.startswith(".") or entry.name in ignored):
            (folder / entry.name).symlink_to(entry)
    return folder


def _environment(tmp_path: Path) -> dict[str, str]:
    """The person's own settings are left out, so that nothing of theirs is read or written."""
    foreign = ("ATELIER_", "MLFLOW_", "RAY_", "AWS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"ATELIER_HOME": str(tmp_path / "home"), "PATH": path}


def test_every_room_has_a_guide_that_the_front_leads_to() -> None:
    guides = {f"{room}/README.md" for room in ROOMS}
    assert guides - set(map(_named, GUIDES)) == set()
    assert guides - set(_LINK.findall(_prose(FRONT))) == set()


@pytest.mark.parametrize("guide", PAGES, ids=_named)
def test_links_lead_to_files_and_headings(guide: Path) -> None:
    assert [link for link in _LINK.findall(_prose(guide)) if not _leads(link, guide)] == []


def _leads(link: str, guide: Path) -> bool:
    if "://" in link or link.startswith("mailto:"):
        return True
    path, _, heading = link.partition("#")
    target = guide.parent / path if path else guide
    return target.exists() and (not heading or heading in _headings(target))


def _headings(path: Path) -> set[str]:
    """As GitHub names them: lower case, hyphens for spaces, no other signs."""
    titles = re.findall(r"^#+ (.+)$", _prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_guide
def test_the_make_targets_a_guide_names_exist(guide: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [*_lines(guide), *_INLINE.findall(_prose(guide))]
    named = {match[1] for line in lines if (match := re.match(r"(?:\$ )?make ([a-z-]+)", line))}
    assert named - targets == set()
    assert guide != FRONT or {"demo", "test"} <= named


def _lines(guide: Path) -> list[str]:
    """Of all commands, those that are only read too; a line that goes on is one."""
    text = "".join(_blocks(guide, "sh", "console"))
    return re.sub(r"\\\n\s*", " ", text).splitlines()


@each_guide
def test_the_commands_and_options_a_guide_names_exist(guide: Path) -> None:
    lines = [*_lines(guide), *_INLINE.findall(_prose(guide))]
    calls = [match.groups() for line in lines for match in _CALL.finditer(line)]
    assert [fault for program, rest in calls for fault in _faults(program, rest)] == []


def _faults(program: str, rest: str) -> Iterator[str]:
    """What a command line asks for that the program does not know."""
    command, path = _programs()[program], program
    for word in _words(rest):
        if word in _commands(command):
            command, path = _commands(command)[word], f"{path} {word}"
        elif _commands(command) and re.fullmatch(r"[a-z][a-z-]*", word):
            yield f"{path} {word}"
            return
        elif word.startswith("--") and not _knows(command, word.partition("=")[0]):
            yield f"{path} {word}"


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # an apostrophe in prose
        return text.split()


def _commands(command: Any) -> dict[str, Any]:
    """A group's commands; one that is started in another program is that program's."""
    own: dict[str, Any] = getattr(command, "commands", {})
    forwarded = _forwarded() if any(map(_passes_on, own.values())) else {}
    return {
        name: forwarded.get(name, inner) if _passes_on(inner) else inner
        for name, inner in own.items()
        if not inner.hidden
    }


def _passes_on(command: Any) -> bool:
    """Whether it reads no options itself."""
    return bool(command.context_settings.get("ignore_unknown_options"))


def _knows(command: Any, option: str) -> bool:
    own = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    return option in own | {"--help"} or _passes_on(command)


@cache
def _programs() -> dict[str, Any]:
    from app.cli.main import atelier
    from jobs.__main__ import jobs

    return {"atelier": get_command(atelier), "python -m jobs": get_command(jobs)}


@cache
def _forwarded() -> dict[str, Any]:
    from deployments.__main__ import commands as service
    from jobs.commands import commands as runs

    groups: list[Any] = [get_command(runs), get_command(service)]
    return {name: inner for group in groups for name, inner in group.commands.items()}


@each_guide
def test_every_setting_a_guide_names_is_one(guide: Path) -> None:
    named = set(_SETTING.findall(guide.read_text()))
    assert named - set(_settings(Settings)) - set(_settings(EchoSettings)) - IN_TESTS == set()


def _settings(kind: Any) -> Iterator[str]:
    """The environment's name of each field."""
    for name, field in kind.model_fields.items():
        yield field.validation_alias or f"{kind.model_config['env_prefix']}{name.upper()}"


def test_the_guide_of_the_commands_names_every_command_and_setting() -> None:
    guide = (ROOT / "app/cli/README.md").read_text()
    assert [name for name in _settings(Settings) if f"`{name}`" not in guide] == []
    commands = _leaves(_programs()["atelier"], "atelier")
    assert [name for name in commands if f"`{name}" not in guide] == []


def _leaves(command: Any, path: str) -> Iterator[str]:
    inner = _commands(command)
    for word in inner:
        yield from _leaves(inner[word], f"{path} {word}")
    if not inner:
        yield path


def test_the_guide_of_plans_names_every_key() -> None:
    guide = (ROOT / "app/plan/README.md").read_text()
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", guide, re.MULTILINE))
    assert set(_keys(plan_schema())) - rows == set()


def _keys(schema: Any) -> Iterator[str]:
    """The keys of a JSON Schema, of all its parts."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
    parts = schema.values() if isinstance(schema, dict) else schema
    for part in parts if isinstance(schema, dict | list) else ():
        yield from _keys(part)


@each_guide
def test_the_plans_in_a_guide_are_valid(guide: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    shutil.copytree(ROOT / "jobs" / "plans", folder)
    for number, text in enumerate(_plans(guide)):
        path = folder / f"{number}.yaml"
        path.write_text(text)
        read_plan(path, models=bundled_models())


def _plans(guide: Path) -> list[str]:
    return [text for text in _blocks(guide, "yaml") if text.startswith("atelier: 1")]


def test_the_plan_at_the_front_expands_to_what_it_says(tmp_path: Path) -> None:
    (plan,) = _plans(FRONT)
    path = tmp_path / "plan.yaml"
    path.write_text(plan)
    names = [spec.name for spec in expand(read_plan(path), bundled_models())]
    assert names == ["potion.red", "potion.green", "potion.blue"]
    assert [name for name in names if f"`{name}`" not in FRONT.read_text()] == []


def test_the_tree_at_the_front_has_a_line_for_every_room() -> None:
    lines = set(re.findall(r"^ +([a-z_]+)/ ", FRONT.read_text(), re.MULTILINE))
    rooms = {
        path.parent.name
        for package in ("app", "deployments", "jobs")
        for path in (ROOT / package).glob("*/__init__.py")
    }
    assert rooms - lines == set()


def test_the_front_stays_one_page() -> None:
    assert len(FRONT.read_text()) <= LONGEST_FRONT
