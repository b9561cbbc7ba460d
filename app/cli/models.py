"""`atelier models ...`: register, list, measure, compare, promote and roll back model versions."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.cli.output import AsJson, exit_codes, print_result, print_results
from app.errors import InvalidRequest
from app.settings import Settings
from app.types import ModelVersion, Size
from app.types.registered_version import CHAMPION, RegisteredVersion, Tolerance

if TYPE_CHECKING:
    from app.store.catalog import Catalog
    from app.store.pointers import Pointer

models = typer.Typer(
    help="Models as measured goods: register, measure, compare, promote, roll back.",
    no_args_is_help=True,
)

CONDITIONS = (
    "role", "family", "licence", "source", "capability", "size", "latent_space", "weights_digest",
)  # fmt: skip
Reference = Annotated[str, typer.Argument(metavar="MODEL", help="NAME/VERSION or NAME@ALIAS")]
Alias = Annotated[str, typer.Option(help="The alias to move.")]


Name = Annotated[str, typer.Option(help="The model's name: draft")]
ModelRole = Annotated[str, typer.Option(help="What it is for: draft, final, typography")]
Sizes = Annotated[list[str] | None, typer.Option("--size", help="Renders 1024x1024; repeat.")]
DefaultSteps = Annotated[
    int | None, typer.Option("--steps", min=1, max=200, help="Its default steps.")
]
DefaultGuidance = Annotated[float | None, typer.Option(min=0, max=30, help="Its default guidance.")]


@models.command(epilog="Example: atelier models register starter --name draft --role draft")
def register(
    folder: Annotated[str, typer.Argument(help="A diffusers folder, or starter or echo.")],
    name: Name,
    role: ModelRole = "",
    licence: Annotated[str, typer.Option(help="Unless the folder's version.json says it.")] = "",
    source: Annotated[str, typer.Option(help="hub:owner/name@revision, when it is known.")] = "",
    size: Sizes = None,
    steps: DefaultSteps = None,
    guidance_scale: DefaultGuidance = None,
    example: Annotated[
        list[Path] | None, typer.Option(exists=True, dir_okay=False, help="A picture; repeat.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the weights in FOLDER a version of a name; the same weights stay the same version.

    The files stay where they are. Nothing is downloaded, and no code in the folder is run.
    """
    from app.models.bundled import bundled_models
    from app.models.describe import describe, describe_bundled

    with exit_codes(as_json):
        if folder in bundled_models() or not Path(folder).is_dir():
            version = describe_bundled(folder, name)
        else:
            version = describe(
                Path(folder), name, licence=licence, source=source, steps=steps,
                sizes=[_size(text) for text in size or []], guidance_scale=guidance_scale,
            )  # fmt: skip
        _register(version, role, example or [], as_json)


@models.command(
    "register-hosted",
    epilog="Example: atelier models register-hosted https://api.openai.com/v1 --model MODEL "
    "--name poster --licence 'their terms' --size 1024x1024",
)
def register_hosted(
    url: Annotated[str, typer.Argument(help="A service that speaks OpenAI's images API.")],
    model: Annotated[str, typer.Option(help="What the service calls the model.")],
    name: Name,
    role: ModelRole = "",
    licence: Annotated[str, typer.Option(help="The terms of its pictures.")] = "",
    capability: Annotated[
        list[str] | None,
        typer.Option(help="The service takes: seeded, steps, negative-prompt, transparent, text."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Sent with every call: quality=high; repeat.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The service's last day.")
    ] = None,
    size: Sizes = None,
    steps: DefaultSteps = None,
    guidance_scale: DefaultGuidance = None,
    as_json: AsJson = False,
) -> None:
    """Make a hosted model at URL a version of a name; no request is sent to the service.

    Its price stands in the price sheet (ATELIER_PRICES), its key in ATELIER_HOSTED_KEYS.
    """
    from app.models.describe import describe_hosted

    with exit_codes(as_json):
        version = describe_hosted(
            url, model, name, licence=licence, sizes=[_size(text) for text in size or []],
            steps=steps, guidance_scale=guidance_scale, capabilities=capability or [],
            options=[_option(text) for text in option or []],
            until=until.date() if until else None,
        )  # fmt: skip
        _register(version, role, [], as_json)


def _register(version: ModelVersion, role: str, examples: list[Path], as_json: bool) -> None:
    from app.cli.render.models import show_registered
    from app.registry.registry import open_registry

    pictures = {path.name: path.read_bytes() for path in examples}
    registered = open_registry(Settings()).register(version, role=role, examples=pictures)
    _require_unchanged(registered, version)
    print_result(registered, as_json, show_registered)


@models.command("list", epilog="Example: atelier models list --where role=draft")
def list_models(
    name: Annotated[str | None, typer.Option(help="Only versions of this name.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="role=draft, capability=transparent, licence=, size= ...; repeat."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the registered versions with their measured figures."""
    from app.assets.select import parse_condition
    from app.cli.render.models import ModelRow, show_models
    from app.registry.registry import open_registry
    from app.store.pointers import aliases

    with exit_codes(as_json):
        settings = Settings()
        conditions = [parse_condition(text, CONDITIONS) for text in where or []]
        with _catalog(settings) as catalog:
            bearing = aliases(catalog)
        rows = [
            ModelRow(
                reference=version.reference,
                aliases=tuple(bearing.get(version.reference, ())),
                version=version,
            )
            for version in open_registry(settings).versions(name)
            if all(_meets(version, field, value) for field, value in conditions)
        ]
        print_results(rows, as_json, show_models)
        _warn_of_ends([row.version.model for row in rows], datetime.now(UTC).date())


@models.command(epilog="Example: atelier models show draft@champion")
def show(reference: Reference, as_json: AsJson = False) -> None:
    """Show one version: its properties, every golden result, and the moves of its alias."""
    from app.cli.render.models import ModelCard, show_model
    from app.registry.references import find_registered
    from app.registry.registry import open_registry
    from app.store.pointers import aliases, moves

    with exit_codes(as_json):
        settings = Settings()
        version = find_registered(reference, settings)
        with _catalog(settings) as catalog:
            bearing, history = aliases(catalog), moves(catalog, version.model.name, CHAMPION)
        card = ModelCard(
            reference=version.reference,
            aliases=tuple(bearing.get(version.reference, ())),
            version=version,
            measured=tuple(open_registry(settings).history(version.reference)),
            moves=tuple(history),
        )
        print_result(card, as_json, show_model)


@models.command(epilog="Example: atelier models measure draft/1")
def measure(
    reference: Reference,
    prompts: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="One prompt a line, not the usual ones."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=1000, help="Seeds for each prompt.")] = 4,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(help="How much worse it may be: acceptance=0.05, seconds_share=0.3; repeat."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Render the golden set, check it, and record the result with the version."""
    from app.cli.render.models import show_measured
    from app.registry.measure import measure_version as measure_model

    with exit_codes(as_json):
        result = measure_model(
            reference, Settings(), prompts=_lines(prompts) if prompts else None, samples=samples,
            tolerance=_tolerance(tolerance or []), progress=_images,
        )  # fmt: skip
        print_result(result, as_json, show_measured)


@models.command(epilog="Example: atelier models compare draft/1")
def compare(
    reference: Reference,
    champion: Annotated[
        str | None, typer.Argument(metavar="CHAMPION", help="Against this; else NAME@champion.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a version with the champion, as the gate does. Exit code 1: not promotable."""
    from app.cli.render.models import Comparison, show_comparison
    from app.registry.promote import gate
    from app.registry.references import find_registered

    with exit_codes(as_json):
        settings = Settings()
        candidate = find_registered(reference, settings)
        against, _ = _champion(candidate, CHAMPION, settings)
        if champion is not None:
            against = find_registered(champion, settings)
        rows = gate(candidate, against)
        comparison = Comparison(
            candidate=candidate.reference,
            champion=against.reference if against else None,
            promotable=all(row.holds for row in rows),
            rows=rows,
        )
        print_result(comparison, as_json, show_comparison)
    raise typer.Exit(int(not comparison.promotable))


@models.command(epilog="Example: atelier models promote draft/1")
def promote(reference: Reference, alias: Alias = CHAMPION, as_json: AsJson = False) -> None:
    """Move the alias to a version, if its golden result is no worse than the champion's."""
    from app.cli.render.models import show_pointer
    from app.registry.promote import promote_version
    from app.registry.references import find_registered
    from app.registry.registry import open_registry

    with exit_codes(as_json):
        settings = Settings()
        candidate = find_registered(reference, settings)
        against, present = _champion(candidate, alias, settings)
        with _catalog(settings) as catalog:
            moved = promote_version(
                catalog, candidate, against, present, alias=alias,
                mirror=open_registry(settings).mirror,
            )  # fmt: skip
        print_result(moved, as_json, show_pointer)


@models.command(epilog="Example: atelier models rollback draft")
def rollback(
    name: Annotated[str, typer.Argument(help="The model's name: draft")],
    alias: Alias = CHAMPION,
    reason: Annotated[str, typer.Option(help="Kept in the history.")] = "",
    as_json: AsJson = False,
) -> None:
    """Move the alias back to its previous version; again: one further back. History is kept."""
    from app.cli.render.models import show_pointer
    from app.registry.promote import roll_back_version as roll_back
    from app.registry.registry import open_registry

    with exit_codes(as_json):
        settings = Settings()
        with _catalog(settings) as catalog:
            moved = roll_back(
                catalog, name, alias=alias, reason=reason, mirror=open_registry(settings).mirror
            )
        print_result(moved, as_json, show_pointer)


@models.command(epilog="Example: atelier models ui")
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="On this machine only.")] = 5000,
) -> None:
    """Open MLflow's own page over the registry, for this machine only; Ctrl-C ends it."""
    from app.registry.mlflow_ui import ui_command

    with exit_codes(as_json=False):
        settings = Settings()
        command, environment = ui_command(settings, port)
        print(f"http://127.0.0.1:{port}" if command else settings.registry, flush=True)
        if command:
            os.execve(command[0], command, environment)


def _champion(
    candidate: RegisteredVersion, alias: str, settings: Settings
) -> "tuple[RegisteredVersion | None, Pointer | None]":
    from app.registry.registry import open_registry
    from app.store.pointers import pointer

    with _catalog(settings) as catalog:
        present = pointer(catalog, candidate.model.name, alias)
    return (open_registry(settings).version(present.target) if present else None), present


@contextmanager
def _images(total: int) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on stderr for images as they are made."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("images", total=total)
        yield lambda count: progress.advance(task, count)


def _size(text: str) -> Size:
    width, _, height = text.partition("x")
    try:
        return Size(width=int(width), height=int(height or width))
    except ValueError as exc:
        raise InvalidRequest(f"--size {text!r} is no size; write 1024x1024") from exc


def _option(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InvalidRequest(f"--option {text!r} is no option; write quality=high")
    return name, value


def _require_unchanged(known: RegisteredVersion, version: ModelVersion) -> None:
    """Raises InvalidRequest for other sizes or another endpoint: versions never change."""
    stands, endpoint = known.model, version.hosted
    if endpoint and (stands.hosted, stands.sizes) != (endpoint, version.sizes):
        raise InvalidRequest(
            f"{known.reference} stands already with other sizes or another end, and was left as it "
            "is; what it made is found under another --name too"
        )


def _warn_of_ends(models: "list[ModelVersion]", today: date) -> None:
    from app.fleet.hosted_requests import end_warning

    for warning in filter(None, (end_warning(model, today) for model in models)):
        Console(stderr=True, highlight=False).print(
            f"{warning}: let plans name another model", markup=False, soft_wrap=True
        )


def _meets(version: RegisteredVersion, field: str, value: str) -> bool:
    if field == "role":
        return version.role == value
    if field == "capability":
        return value in version.model.capabilities
    if field == "size":
        return not version.model.sizes or value in map(str, version.model.sizes)
    return bool(getattr(version.model, field) == value)


def _tolerance(texts: list[str]) -> Tolerance:
    try:
        return Tolerance.model_validate(dict(text.split("=", 1) for text in texts))
    except ValueError as exc:
        raise InvalidRequest(
            f"--tolerance {' '.join(texts)} is not understood; write shares from 0 to 1 of "
            f"{', '.join(Tolerance.model_fields)}, as in acceptance=0.05"
        ) from exc


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]


@contextmanager
def _catalog(settings: Settings) -> "Iterator[Catalog]":
    from app.store.catalog import Catalog

    catalog = Catalog.open(settings.catalog)
    try:
        yield catalog
    finally:
        catalog.close()
