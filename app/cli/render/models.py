"""Renders registered models for a person in a terminal; the values are the commands' JSON."""

from collections.abc import Sequence

from app.cli.output import make_console
from app.cli.tables import Cell, Table, escape, fact_table, number, styled
from app.registry.promote import GateRow
from app.store.pointers import Pointer
from app.types import ModelVersion, Value
from app.types.registered_version import GoldenResult, RegisteredVersion


class ModelRow(Value):
    """One registered version and its current aliases."""

    reference: str
    aliases: tuple[str, ...]
    version: RegisteredVersion


class ModelCard(Value):
    """One registered version with all its measurements, and its alias's moves."""

    reference: str
    aliases: tuple[str, ...]
    version: RegisteredVersion
    measured: tuple[GoldenResult, ...]
    """The newest first."""
    moves: tuple[Pointer, ...]
    """Of the champion's alias of this name, the newest first."""


class Comparison(Value):
    """The gate's comparison of a candidate with a champion."""

    candidate: str
    champion: str | None
    promotable: bool
    rows: tuple[GateRow, ...]


def show_models(models: Sequence[ModelRow]) -> None:
    """Prints one row per version."""
    table = Table(
        "model", "alias", "role", "family", "licence", "acceptance", "s/image", "USD/1000",
        "can",
    )  # fmt: skip
    for row in models:
        model, golden = row.version.model, row.version.golden
        table.add(
            row.reference, " ".join(row.aliases), row.version.role, model.family, model.licence,
            *_figures(golden), " ".join(model.capabilities),
        )  # fmt: skip
    make_console().print(table if models else "no model was registered yet")


def _figures(golden: GoldenResult | None) -> tuple[Cell, Cell, Cell]:
    if golden is None:
        return "not measured", "", ""
    return (
        number(golden.acceptance, ".3f"),
        number(golden.seconds_per_image, ".3f"),
        number(golden.usd_per_image * 1000, ".4f"),
    )


def show_registered(version: RegisteredVersion) -> None:
    """Prints that a version is registered, and the next step."""
    make_console().print(
        f"{version.reference} stands; measure it with: atelier models measure {version.reference}"
    )


def show_model(card: ModelCard) -> None:
    """Prints all that is known of one version."""
    make_console().print(fact_table(_facts(card)))


def _facts(card: ModelCard) -> list[tuple[str, str]]:
    model = card.version.model
    known = f"{len(model.vocabulary)} words" if model.vocabulary else "open language"
    facts = [
        ("model", card.reference),
        ("alias", ", ".join(card.aliases) or "none"),
        ("role", card.version.role or "none"),
        ("registered", card.version.registered_at),
        ("family", model.family),
        ("licence", model.licence),
        ("source", model.source),
        ("weights", model.weights_digest),
        ("stands", _place(model)),
        ("latent space", model.latent_space or "unknown"),
        ("can", ", ".join(model.capabilities)),
        ("sizes", " ".join(map(str, model.sizes)) or "any"),
        ("knows", known),
        ("steps", f"{model.num_inference_steps}, guidance {model.guidance_scale:g}"),
    ]
    facts += [("measured", _in_words(golden)) for golden in card.measured]
    facts += [("moved", f"{move.moved_at} to {move.target}: {move.reason}") for move in card.moves]
    return facts


def _place(model: ModelVersion) -> str:
    if model.hosted is None:
        return model.folder or "ships with Atelier"
    options = "".join(f", {name}={value}" for name, value in model.hosted.options)
    until = f", until {model.hosted.until}" if model.hosted.until else ""
    return f"{model.hosted.url}, as {model.hosted.model}{options}{until}"


def _in_words(golden: GoldenResult) -> str:
    agreement = "" if golden.agreement is None else f", agreement {golden.agreement:.3f}"
    return (
        f"{golden.measured_at}: {golden.images} images, acceptance {golden.acceptance:.3f}"
        f"{agreement}, {golden.seconds_per_image:.3f} s and ${golden.usd_per_image:.6f} an image, "
        f"{golden.damaged_passes:.1%} of damaged pictures pass"
    )


def show_measured(golden: GoldenResult) -> None:
    """Prints the figures, and the rules that were broken most."""
    out = make_console()
    out.print(f"[bold]{golden.reference}[/] {escape(_in_words(golden))}", soft_wrap=True)
    for name, times in sorted(golden.complaints.items(), key=lambda item: -item[1]):
        out.print(f"    {name} spoke of {times} of {golden.images}")


def show_comparison(comparison: Comparison) -> None:
    """Prints one row for each requirement of the gate."""
    table = Table(
        "asked", comparison.candidate, comparison.champion or "no champion", "required", ""
    )
    for row in comparison.rows:
        verdict = styled("holds", "green") if row.holds else styled("does not hold", "red")
        table.add(row.asks, row.candidate, row.champion, row.limit, verdict)
    out = make_console()
    out.print(table)
    out.print("it may be promoted" if comparison.promotable else "it may not be promoted")


def show_pointer(moved: Pointer) -> None:
    """Prints where the alias points now."""
    make_console().print(f"{moved.name}@{moved.alias} is {moved.target}: {escape(moved.reason)}")
