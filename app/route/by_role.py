"""Which role answers somebody who waits: a model by name, a constraint, or the built-in table."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from app.errors import ModelNotFound, NoRoute
from app.types import ModelVersion, Size, Steps, Value

TRUSTED_CONFIDENCE = 0.8
"""From here on a plain model is trusted with text that must be exact."""


class Role(StrEnum):
    """What a deployed model is there for."""

    DRAFT = "draft"
    FINAL = "final"
    TYPOGRAPHY = "typography"


class Tag(StrEnum):
    """What a prompt may be marked with."""

    REQUIRES_TYPOGRAPHY_PRECISION = "requires_typography_precision"
    FAST_PREVIEW = "fast_preview"


class Constraint(StrEnum):
    """What a caller may care about most."""

    SPEED = "speed"
    TYPOGRAPHY = "typography"
    DETAIL = "detail"


ROLE_FOR = {
    Constraint.SPEED: Role.DRAFT,
    Constraint.TYPOGRAPHY: Role.TYPOGRAPHY,
    Constraint.DETAIL: Role.FINAL,
}


class RolePreferences(Value):
    """What a caller says about the way, the strongest first: a model, text, a constraint, tags.

    `sets_text` says that there is text to be set, which only some models do. `confidence` is how
    sure the caller is that a plain model gets the text right; unknown counts as not sure at all.
    Where pictures may be made is never outweighed: `residency`, if given, must be the model's.
    """

    model: str | None = None
    constraint: Constraint | None = None
    tags: tuple[Tag, ...] = ()
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    sets_text: bool = False
    residency: str | None = None


class DeployedModel(Value):
    """A model that is deployed: its role, the reference it was deployed by, steps, size, place."""

    role: Role
    reference: str
    model: ModelVersion
    steps: Steps
    max_steps: Steps
    size: Size | None = None
    """What it paints when nobody names a size; None: the first of its model's."""
    residency: str = "local"

    @property
    def accepted_names(self) -> tuple[str, str, str]:
        """All that a caller may call it."""
        return (self.role.value, self.reference, self.model.reference)


class RoleChoice(Value):
    """The way that was taken, why, and every rule that was looked at on the way."""

    served: DeployedModel
    reason: str
    considered: tuple[str, ...]


def choose_role(wish: RolePreferences, fleet: Sequence[DeployedModel]) -> RoleChoice:
    """The model that answers a wish, among those deployed.

    Raises ModelNotFound for a name that nothing has, and NoRoute when the role that should
    answer is not deployed there: nothing else ever answers in its place.
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
    """The built-in table: the role of the first rule that holds, and the rules up to it."""
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
