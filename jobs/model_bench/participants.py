"""The models of a benchmark, resolved once before any work, and what each is compared with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.errors import InvalidRequest
from app.fleet.versions import resolve
from app.models.bundled import bundled_names
from app.types import ModelVersion
from app.types.registered_version import require_name

BUNDLED = ("starter", "polish", "typography")
"""The models that run when none is named."""
LAST = "last"
"""In place of a model to compare with: the same model's last result."""


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model as the caller named it, and the version that the name stands for."""

    named: str
    model: ModelVersion


def named_models(names: Iterable[str], models: Mapping[str, ModelVersion]) -> list[NamedModel]:
    """Returns one model per version; a version named twice runs once, under its first name.

    Raises NoRoute for an unknown name.
    """
    participants: dict[str, NamedModel] = {}
    for name in names:
        model = resolve(name, models)
        participants.setdefault(model.reference, NamedModel(name, model))
    if not participants:
        raise InvalidRequest("--models names no model; write starter,draft@champion,draft/8")
    return list(participants.values())


def opponent_models(
    against: str, taking_part: Sequence[NamedModel], models: Mapping[str, ModelVersion]
) -> dict[str, NamedModel]:
    """Returns what each reference is compared with: one model for all, or each one's own by an
    alias.

    Raises NoRoute, and InvalidRequest for an alias of a bundled model, which has none.
    """
    if "/" in against or "@" in against or against in bundled_names():
        other = NamedModel(against, resolve(against, models))
        return {participant.model.reference: other for participant in taking_part}
    require_name(against)
    aliased = {
        participant.model.reference: _aliased(participant.model, against)
        for participant in taking_part
    }
    return {
        reference: NamedModel(alias, resolve(alias, models)) for reference, alias in aliased.items()
    }


def _aliased(model: ModelVersion, alias: str) -> str:
    if model.name in bundled_names():
        raise InvalidRequest(
            f"{model.reference} ships with Atelier and bears no alias {alias!r}; compare with a "
            f"model (--against starter), with its last result (--against {LAST}), or register it"
        )
    return f"{model.name}@{alias}"
