"""`atelier models ...`: register, list, measure, compare, promote and roll back model versions."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.cli.input import open_catalog, option_groups, read_settings
from app.cli.output import AsJson, exit_codes, print_result, print_results
from app.errors import InvalidRequest
from app.types import ModelVersion, Size
from app.types.registered_version import CHAMPION, RegisteredVersion, Tolerance

if TYPE_CHECKING:
    from app.store.catalog import Catalog
    from app.store.pointers import Pointer

models = typer.Typer(
    help="Register, measure, compare, promote and roll back model versions.",
    no_args_is_help=True,
)

CONDITIONS = (
    "role", "family", "licence", "source", "capability", "size", "latent_space", "weights_digest",
)  # fmt: skip
Reference = Annotated[str, typer.Argument(metavar="MODEL", help="NAME/VERSION or NAME@ALIAS")]
Alias = Annotated[str, typer.Option(help="The alias to move.")]


@dataclass(frozen=True)
class VersionOptions:
    """The options with which any model version is registered."""

    name: Annotated[str, typer.Option(help="The model's name: draft")]
    role: Annotated[str, typer.Option(help="Its purpose: draft, final, typography")] = ""
    licence: Annotated[
        str, typer.Option(help="The licence of its images, if no version.json names it.")
    ] = ""
    size: Annotated[list[str] | None, typer.Option(help="Renders 1024x1024; repeat.")] = None
    steps: Annotated[
        int | None, typer.Option(min=1, max=200, help="Its default number of steps.")
    ] = None
    guidance_scale: Annotated[
        float | None, typer.Option(min=0, max=30, help="Its default guidance scale.")
    ] = None

    @property
    def sizes(self) -> list[Size]:
        """Returns the sizes. Raises InvalidRequest."""
        return [_size(text) for text in self.size or []]


@models.command(epilog="Example: atelier models register starter --name draft --role draft")
@option_groups
def register(
    folder: Annotated[str, typer.Argument(help="A diffusers folder, or starter or echo.")],
    options: VersionOptions,
    source: Annotated[
        str, typer.Option(help="Where the weights are from: hub:owner/name@revision")
    ] = "",
    example: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="An example image; repeat."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register the weights in FOLDER as a version of a name; equal weights keep their version.

    The files stay where they are. Nothing is downloaded, and no code in the folder is run.
    """
    from app.models.bundled import bundled_models
    from app.models.describe import describe, describe_bundled

    with exit_codes(as_json):
        if folder in bundled_models() or not Path(folder).is_dir():
            version = describe_bundled(folder, options.name)
        else:
            version = describe(
                Path(folder), options.name, licence=options.licence, source=source,
                sizes=options.sizes, steps=options.steps, guidance_scale=options.guidance_scale,
            )  # fmt: skip
        _register(version, options.role, example or [], as_json)


@models.command(
    "register-hosted",
    epilog="Example: atelier models register-hosted https://api.openai.com/v1 --model MODEL "
    "--name poster --licence 'their terms' --size 1024x1024",
)
@option_groups
def register_hosted(
    url: Annotated[str, typer.Argument(help="A service with OpenAI's images API.")],
    model: Annotated[str, typer.Option(help="The service's name for the model.")],
    options: VersionOptions,
    capability: Annotated[
        list[str] | None,
        typer.Option(help="The service takes: seeded, steps, negative-prompt, transparent, text."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="A field of every call: quality=high; repeat.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The service's last day.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register a hosted model at URL as a version of a name; no request is sent to the service.

    Its price belongs in the price sheet (ATELIER_PRICES), its key in ATELIER_HOSTED_KEYS.
    """
    from app.models.describe import describe_hosted, hosted_endpoint

    with exit_codes(as_json):
        endpoint = hosted_endpoint(
            url, model, options=[_option(text) for text in option or []],
            until=until.date() if until else None,
        )  # fmt: skip
        version = describe_hosted(
            endpoint, options.name, licence=options.licence, sizes=options.sizes,
            capabilities=capability or [], steps=options.steps,
            guidance_scale=options.guidance_scale,
        )  # fmt: skip
        _register(version, options.role, [], as_json)


def _register(version: ModelVersion, role: str, examples: list[Path], as_json: bool) -> None:
    from app.cli.render.models import show_registered
    from app.registry.registry import open_registry

    pictures = {path.name: path.read_bytes() for path in examples}
    registered = open_registry(read_settings()).register(version, role=role, examples=pictures)
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
        conditions = [parse_condition(text, CONDITIONS) for text in where or []]
        aliases_of = aliases(open_catalog())
        rows = [
            ModelRow(
                reference=version.reference,
                aliases=tuple(aliases_of.get(version.reference, ())),
                version=version,
            )
            for version in open_registry(read_settings()).versions(name)
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
        settings, catalog = read_settings(), open_catalog()
        version = find_registered(reference, settings)
        card = ModelCard(
            reference=version.reference,
            aliases=tuple(aliases(catalog).get(version.reference, ())),
            version=version,
            measured=tuple(open_registry(settings).history(version.reference)),
            moves=tuple(moves(catalog, version.model.name, CHAMPION)),
        )
        print_result(card, as_json, show_model)


@models.command(epilog="Example: atelier models measure draft/1")
def measure(
    reference: Reference,
    prompts: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with other prompts, one a line."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=1000, help="Seeds for each prompt.")] = 4,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(help="Allowed loss: acceptance=0.05, seconds_share=0.3; repeat."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Render and check the golden set, and record the result with the version."""
    from app.cli.render.models import show_measured
    from app.registry.measure import measure_version

    with exit_codes(as_json):
        result = measure_version(
            reference, read_settings(),
            prompts=_lines(prompts) if prompts else None, samples=samples,
            tolerance=_tolerance(tolerance or []), progress=_images,
        )  # fmt: skip
        print_result(result, as_json, show_measured)


@models.command(epilog="Example: atelier models compare draft/1")
def compare(
    reference: Reference,
    champion: Annotated[
        str | None, typer.Argument(metavar="CHAMPION", help="By default NAME@champion.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a version with the champion by the promotion gate. Exit code 1: not promotable."""
    from app.cli.render.models import Comparison, show_comparison
    from app.registry.promote import gate
    from app.registry.references import find_registered

    with exit_codes(as_json):
        settings = read_settings()
        candidate = find_registered(reference, settings)
        against, _ = _champion(open_catalog(), candidate, CHAMPION)
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
    """Move the alias to a version if its golden result is no worse than the champion's."""
    from app.cli.render.models import show_pointer
    from app.registry.promote import promote_version
    from app.registry.references import find_registered
    from app.registry.registry import open_registry

    with exit_codes(as_json):
        settings, catalog = read_settings(), open_catalog()
        candidate = find_registered(reference, settings)
        against, present = _champion(catalog, candidate, alias)
        moved = promote_version(
            catalog, candidate, against, present, alias=alias,
            mirror=open_registry(settings).mirror,
        )  # fmt: skip
        print_result(moved, as_json, show_pointer)


@models.command(epilog="Example: atelier models rollback draft")
def rollback(
    name: Annotated[str, typer.Argument(help="The model's name: draft")],
    alias: Alias = CHAMPION,
    reason: Annotated[str, typer.Option(help="The reason, for the history.")] = "",
    as_json: AsJson = False,
) -> None:
    """Move the alias back to its previous version; repeat to go further back. Keeps the history."""
    from app.cli.render.models import show_pointer
    from app.registry.promote import roll_back_version
    from app.registry.registry import open_registry

    with exit_codes(as_json):
        mirror = open_registry(read_settings()).mirror
        moved = roll_back_version(open_catalog(), name, alias=alias, reason=reason, mirror=mirror)
        print_result(moved, as_json, show_pointer)


@models.command(epilog="Example: atelier models ui")
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port on this machine.")] = 5000,
) -> None:
    """Serve MLflow's page over the registry on this machine only, until Ctrl-C."""
    from app.registry.mlflow_ui import ui_command

    with exit_codes(as_json=False):
        settings = read_settings()
        command, environment = ui_command(settings, port)
        print(f"http://127.0.0.1:{port}" if command else settings.registry, flush=True)
        if command:
            os.execve(command[0], command, environment)


def _champion(
    catalog: "Catalog", candidate: RegisteredVersion, alias: str
) -> "tuple[RegisteredVersion | None, Pointer | None]":
    from app.registry.registry import open_registry
    from app.store.pointers import pointer

    present = pointer(catalog, candidate.model.name, alias)
    return (open_registry(read_settings()).version(present.target) if present else None), present


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
        raise InvalidRequest(f"--size {text!r} is not a size; write 1024x1024") from exc


def _option(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InvalidRequest(f"--option {text!r} is not NAME=VALUE; write quality=high")
    return name, value


def _require_unchanged(known: RegisteredVersion, version: ModelVersion) -> None:
    """Raises InvalidRequest for other sizes or another endpoint: versions never change."""
    recorded, endpoint = known.model, version.hosted
    if endpoint and (recorded.hosted, recorded.sizes) != (endpoint, version.sizes):
        raise InvalidRequest(
            f"{known.reference} is already registered with other sizes or another last day, and a "
            "version never changes; register it under another --name: its images are reused there"
        )


def _warn_of_ends(models: "list[ModelVersion]", today: date) -> None:
    from app.fleet.hosted_requests import end_warning

    for warning in filter(None, (end_warning(model, today) for model in models)):
        Console(stderr=True, highlight=False).print(
            f"{warning}: name another model in plans", markup=False, soft_wrap=True
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
            f"--tolerance {' '.join(texts)} is invalid; write shares from 0 to 1 of "
            f"{', '.join(Tolerance.model_fields)}, as in acceptance=0.05"
        ) from exc


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
