"""Routes an interactive call to a deployed model: by name, constraint, or the built-in table."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from app.errors import ModelNotFound, NoRoute
from app.types import ModelVersion, Size, Steps, Value

TRUSTED_CONFIDENCE = 0.8
"""From this confidence on, a model that sets no text is trusted with text that must be exact."""


class Role(StrEnum):
    """The purpose of a deployed model."""

    DRAFT = "draft"
    FINAL = "final"
    TYPOGRAPHY = "typography"


class Tag(StrEnum):
    """A tag of a prompt."""

    REQUIRES_TYPOGRAPHY_PRECISION = "requires_typography_precision"
    FAST_PREVIEW = "fast_preview"


class Constraint(StrEnum):
    """What matters most to a caller."""

    SPEED = "speed"
    TYPOGRAPHY = "typography"
    DETAIL = "detail"


ROLE_FOR = {
    Constraint.SPEED: Role.DRAFT,
    Constraint.TYPOGRAPHY: Role.TYPOGRAPHY,
    Constraint.DETAIL: Role.FINAL,
}


class RolePreferences(Value):
    """What a caller requires of routing, the strongest first: a model, text, a constraint, tags.

    `sets_text` says that text must be set, which only some models do. `confidence` is how sure the
    caller is that a plain model gets the text right; None counts as not sure at all. `residency`,
    if given, must be the model's: nothing outweighs it.
    """

    model: str | None = None
    constraint: Constraint | None = None
    tags: tuple[Tag, ...] = ()
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    sets_text: bool = False
    residency: str | None = None


class DeployedModel(Value):
    """A deployed model: its role, the reference it was deployed by, steps, size, residency."""

    role: Role
    reference: str
    model: ModelVersion
    steps: Steps
    max_steps: Steps
    size: Size | None = None
    """The size it renders when the caller names none; None: the first of its model's sizes."""
    residency: str = "local"

    @property
    def accepted_names(self) -> tuple[str, str, str]:
        """Returns all names by which a caller may ask for it."""
        return (self.role.value, self.reference, self.model.reference)


class RoleChoice(Value):
    """The chosen model, the reason, and every rule that was evaluated."""

    served: DeployedModel
    reason: str
    considered: tuple[str, ...]


def choose_role(wish: RolePreferences, fleet: Sequence[DeployedModel]) -> RoleChoice:
    """Returns the deployed model that serves these preferences.

    Raises ModelNotFound for an unknown name, and NoRoute when the role that should serve the call
    is not deployed: no other role ever replaces it.
    """
    fleet = _inside(wish.residency, fleet)
    if wish.model is not None:
        return _named(wish.model, fleet)
    if wish.sets_text:
        reason = "there is text to be set"
        return _deployed(Role.TYPOGRAPHY, reason, (reason,), fleet)
    if wish.constraint is not None:
        reason = f"the caller asks for {wish.constraint}"
        return _deployed(ROLE_FOR[wish.constraint], reason, (reason,), fleet)
    role, considered = rule_table(wish)
    return _deployed(role, considered[-1].removesuffix(": yes"), considered, fleet)


def rule_table(wish: RolePreferences) -> tuple[Role, tuple[str, ...]]:
    """Returns the role of the built-in table's first rule that holds, and the rules up to it."""
    exact_text = Tag.REQUIRES_TYPOGRAPHY_PRECISION in wish.tags
    unsure = (wish.confidence or 0.0) < TRUSTED_CONFIDENCE
    table = (
        (
            Role.TYPOGRAPHY,
            f"requires_typography_precision and confidence < {TRUSTED_CONFIDENCE}",
            exact_text and unsure,
        ),
        (Role.DRAFT, "fast_preview", Tag.FAST_PREVIEW in wish.tags),
        (Role.FINAL, "neither of the rules for typography and previews", True),
    )
    first = next(index for index, (_, _, holds) in enumerate(table) if holds)
    considered = tuple(f"{rule}: {'yes' if holds else 'no'}" for _, rule, holds in table)
    return table[first][0], considered[: first + 1]


def _inside(residency: str | None, fleet: Sequence[DeployedModel]) -> Sequence[DeployedModel]:
    inside = [model for model in fleet if residency in (None, model.residency)]
    if not inside:
        places = ", ".join(sorted({model.residency for model in fleet}))
        raise NoRoute(f"nothing is deployed in {residency!r}; there are models in {places}")
    return inside


def _named(name: str, fleet: Sequence[DeployedModel]) -> RoleChoice:
    for served in fleet:
        if name in served.accepted_names:
            reason = f"the caller names {name}"
            return RoleChoice(served=served, reason=reason, considered=(reason,))
    if name in set(Role):
        raise NoRoute(_not_deployed(Role(name), fleet))
    raise ModelNotFound(f"no model is called {name!r} here; GET /v1/models lists {_known(fleet)}")


def _deployed(
    role: Role, reason: str, considered: tuple[str, ...], fleet: Sequence[DeployedModel]
) -> RoleChoice:
    for served in fleet:
        if served.role is role:
            return RoleChoice(served=served, reason=reason, considered=considered)
    raise NoRoute(f"{_not_deployed(role, fleet)} (chosen because: {reason})")


def _not_deployed(role: Role, fleet: Sequence[DeployedModel]) -> str:
    return (
        f"the role {role} is not deployed here; name a model that is ({_known(fleet)}), or "
        "deploy one for the role"
    )


def _known(fleet: Sequence[DeployedModel]) -> str:
    return ", ".join(served.reference for served in fleet)
