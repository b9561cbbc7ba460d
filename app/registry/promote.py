"""Promotion: a gate over measured figures, then one move of a pointer; always reversible.

The catalog's pointer alone decides which version has an alias; MLflow only mirrors it afterwards.
"""

from collections.abc import Callable, Iterator
from statistics import fmean

from app.errors import PromotionRefused, RegistryError
from app.store.catalog import Catalog
from app.store.pointers import Pointer, move, pointer, step_back
from app.types import Value
from app.types.registered_version import CHAMPION, GoldenResult, RegisteredVersion, require_name

MIN_ACCEPTANCE = 0.5
"""A version with less acceptance is never promoted, whatever the champion is."""
MAX_DAMAGED_PASSES = 0.1
"""If more damaged images pass, the result of the checks is not reliable."""

Mirror = Callable[[str, str, str], None]
"""Called with name, alias and version number, to show them elsewhere."""


class GateRow(Value):
    """One requirement of the gate, and whether it holds."""

    asks: str
    candidate: str
    champion: str
    limit: str
    holds: bool

    def __str__(self) -> str:
        """Returns the row in one sentence."""
        against = f", the champion {self.champion}" if self.champion else ""
        return f"{self.asks} is {self.candidate}{against}; required: {self.limit}"


def gate(candidate: RegisteredVersion, champion: RegisteredVersion | None) -> tuple[GateRow, ...]:
    """Returns all requirements for promotion over the present champion; pure.

    The candidate needs a golden result of its own weights that is no older than itself and passed.
    On no axis may it be worse than the champion by more than the tolerance that its result states.
    """
    golden = candidate.golden
    if golden is None:
        command = f"atelier models measure {candidate.reference}"
        return (_row("golden result", "missing", command, holds=False),)
    rows = [*_own(candidate, golden)]
    if champion is not None and champion.reference != candidate.reference:
        rows += _against(golden, champion)
    return tuple(rows)


def promote_version(
    catalog: Catalog,
    candidate: RegisteredVersion,
    champion: RegisteredVersion | None,
    present: Pointer | None,
    *,
    mirror: Mirror,
    alias: str = CHAMPION,
) -> Pointer:
    """Moves the alias to the candidate if the gate allows it.

    `present` is where the pointer was when `champion` was read. Safe to repeat: a version that has
    the alias already is only mirrored again. Raises PromotionRefused with the rows that do not
    hold, or when another process moved the pointer first, and RegistryError when the pointer has
    moved and only the mirror is behind.
    """
    require_name(alias)
    if present is not None and present.target == candidate.reference:
        return _mirrored(catalog, present, mirror)
    failing = [str(row) for row in gate(candidate, champion) if not row.holds]
    if failing:
        raise PromotionRefused(
            f"{candidate.reference} cannot become {candidate.model.name}@{alias}:\n"
            + "\n".join(f"  {line}" for line in failing)
        )
    over = f"over {champion.reference}" if champion else "as the first"
    moved = move(
        catalog, candidate.model.name, alias, candidate.reference,
        present=present, reason=f"promoted {over} by its golden result",
    )  # fmt: skip
    return _mirrored(catalog, moved, mirror)


def roll_back_version(
    catalog: Catalog, name: str, *, mirror: Mirror, alias: str = CHAMPION, reason: str = ""
) -> Pointer:
    """Moves the alias back to its previous version, whatever was measured; the history is kept.

    Raises PromotionRefused when there is nothing to go back to, or another process moved it first.
    """
    present = pointer(catalog, name, alias)
    if present is None:
        raise PromotionRefused(f"{name}@{alias} points nowhere, there is nothing to go back to")
    why = f"rolled back from {present.target}" + (f": {reason}" if reason else "")
    return _mirrored(catalog, step_back(catalog, present, reason=why), mirror)


def _mirrored(catalog: Catalog, moved: Pointer, mirror: Mirror) -> Pointer:
    """Mirrors the pointer; repeats when it moved meanwhile, so the mirror shows the latest move."""
    shown: Pointer | None = None
    now: Pointer | None = moved
    while now is not None and now != shown:
        try:
            mirror(now.name, now.alias, now.target.partition("/")[2])
        except RegistryError as exc:
            raise RegistryError(
                f"{now.target} is {now.name}@{now.alias} now, but MLflow was not updated: "
                f"{exc}; repeat with: atelier models promote {now.target}"
            ) from exc
        shown, now = now, pointer(catalog, now.name, now.alias)
    return moved


def _own(candidate: RegisteredVersion, golden: GoldenResult) -> Iterator[GateRow]:
    weights = candidate.model.weights_digest
    yield _row(
        "weights that were measured", golden.weights_digest[:12], weights[:12],
        holds=golden.weights_digest == weights,
    )  # fmt: skip
    yield _row(
        "date of the golden result", golden.measured_at, f"from {candidate.registered_at} on",
        holds=golden.measured_at >= candidate.registered_at,
    )  # fmt: skip
    yield _row("failed images", str(golden.failed), "0", holds=golden.failed == 0)
    yield _at_least("acceptance", golden.acceptance, MIN_ACCEPTANCE)
    yield _at_most("damaged pictures that pass", golden.damaged_passes, MAX_DAMAGED_PASSES)


def _against(golden: GoldenResult, champion: RegisteredVersion) -> Iterator[GateRow]:
    measured, allowed = champion.golden, golden.tolerance
    if measured is None or measured.golden_set != golden.golden_set:
        yield _row(
            "golden set", golden.golden_set[:12], "the champion measured on the same one: "
            f"atelier models measure {champion.reference}", holds=False,
            champion=measured.golden_set[:12] if measured else "not measured",
        )  # fmt: skip
        return
    yield _row(
        "pictures other than the champion's", _changed(golden, measured), "is only reported",
        holds=True,
    )  # fmt: skip
    yield _at_least(
        "acceptance", golden.acceptance, measured.acceptance - allowed.acceptance,
        champion=measured.acceptance,
    )  # fmt: skip
    if measured.agreement is not None and golden.agreement is not None:
        yield _at_least(
            "agreement", golden.agreement, measured.agreement - allowed.agreement,
            champion=measured.agreement,
        )  # fmt: skip
    yield _at_most(
        "damaged pictures that pass", golden.damaged_passes,
        measured.damaged_passes + allowed.damaged_passes, champion=measured.damaged_passes,
    )  # fmt: skip
    yield _row(
        "processor", golden.processor, f"the same; there: atelier models measure "
        f"{champion.reference}", champion=measured.processor,
        holds=golden.processor == measured.processor,
    )  # fmt: skip
    yield _at_most(
        "seconds per image", golden.seconds_per_image,
        measured.seconds_per_image * (1 + allowed.seconds_share),
        champion=measured.seconds_per_image,
    )  # fmt: skip


def _changed(golden: GoldenResult, champion: GoldenResult) -> str:
    """Returns how many images of the same prompts and seeds differ, and by how many hash bits."""
    pairs = [pair for pair in zip(golden.looks, champion.looks, strict=False) if all(pair)]
    changed = [(ours, other) for ours, other in pairs if ours != other]
    if not changed:
        return f"0 of {len(pairs)}" if pairs else "measure both again to know"
    hashes = [[int(look[9:], 16) for look in pair] for pair in changed]
    bits = fmean((ours ^ other).bit_count() for ours, other in hashes)
    return f"{len(changed)} of {len(pairs)}, by {bits:.1f} of 64 bits of their perceptual hash"


def _at_least(asks: str, value: float, limit: float, *, champion: float | None = None) -> GateRow:
    return _figures(asks, value, ">=", limit, champion, holds=value >= limit)


def _at_most(asks: str, value: float, limit: float, *, champion: float | None = None) -> GateRow:
    return _figures(asks, value, "<=", limit, champion, holds=value <= limit)


def _figures(
    asks: str, value: float, sign: str, limit: float, champion: float | None, *, holds: bool
) -> GateRow:
    against = "" if champion is None else f"{champion:.4g}"
    return _row(asks, f"{value:.4g}", f"{sign} {limit:.4g}", holds=holds, champion=against)


def _row(asks: str, candidate: str, limit: str, *, holds: bool, champion: str = "") -> GateRow:
    return GateRow(asks=asks, candidate=candidate, champion=champion, limit=limit, holds=holds)
