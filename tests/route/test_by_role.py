"""Who answers somebody who waits: the decision table, names, constraints, and nothing silently."""

import pytest

from app.errors import ModelNotFound, NoRoute
from app.models.bundled import ECHO
from app.route.by_role import (
    Constraint,
    DeployedModel,
    Role,
    RolePreferences,
    Tag,
    choose_role,
    rule_table,
)

EXACT, FAST = Tag.REQUIRES_TYPOGRAPHY_PRECISION, Tag.FAST_PREVIEW


def served(role: Role, reference: str) -> DeployedModel:
    model = ECHO.replace(name=f"{reference}-model")
    return DeployedModel(role=role, reference=reference, model=model, steps=1, max_steps=4)


DRAFT = served(Role.DRAFT, "quick")
FLEET = (DRAFT, served(Role.FINAL, "fine"), served(Role.TYPOGRAPHY, "letters"))


@pytest.mark.parametrize(
    ("tags", "confidence", "role"),
    [
        ((EXACT,), 0.79, Role.TYPOGRAPHY),
        ((EXACT, FAST), 0.79, Role.TYPOGRAPHY),
        ((EXACT,), None, Role.TYPOGRAPHY),
        ((EXACT,), 0.8, Role.FINAL),
        ((EXACT, FAST), 0.8, Role.DRAFT),
        ((FAST,), None, Role.DRAFT),
        ((FAST,), 0.1, Role.DRAFT),
        ((), 0.1, Role.FINAL),
        ((), None, Role.FINAL),
    ],
)
def test_the_decision_table_holds(
    tags: tuple[Tag, ...], confidence: float | None, role: Role
) -> None:
    wish = RolePreferences(tags=tags, confidence=confidence)
    assert rule_table(wish)[0] is role
    assert choose_role(wish, FLEET).served.role is role


@pytest.mark.parametrize(
    ("constraint", "role"),
    [
        (Constraint.SPEED, Role.DRAFT),
        (Constraint.TYPOGRAPHY, Role.TYPOGRAPHY),
        (Constraint.DETAIL, Role.FINAL),
    ],
)
def test_a_constraint_is_stronger_than_tags_and_is_the_reason(
    constraint: Constraint, role: Role
) -> None:
    choice = choose_role(RolePreferences(constraint=constraint, tags=(FAST, EXACT)), FLEET)
    assert choice.served.role is role
    assert constraint in choice.reason


@pytest.mark.parametrize("name", ["draft", "quick", "quick-model/1"])
def test_a_model_is_named_by_role_reference_or_version_before_all_else(name: str) -> None:
    wish = RolePreferences(model=name, constraint=Constraint.DETAIL, tags=(EXACT,))
    assert choose_role(wish, FLEET).served == DRAFT


def test_the_rules_looked_at_end_with_the_one_that_holds() -> None:
    considered = choose_role(RolePreferences(tags=(FAST,)), FLEET).considered
    assert [rule.rpartition(": ")[2] for rule in considered] == ["no", "yes"]
    assert considered[-1].startswith("fast_preview")


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(ModelNotFound, match=r"'dall-e-3'.*quick"):
        choose_role(RolePreferences(model="dall-e-3"), (DRAFT,))


@pytest.mark.parametrize(
    "wish",
    [
        RolePreferences(),
        RolePreferences(model="final"),
        RolePreferences(constraint=Constraint.TYPOGRAPHY),
        RolePreferences(tags=(EXACT, FAST)),
    ],
)
def test_a_role_that_is_not_deployed_is_never_answered_by_another(wish: RolePreferences) -> None:
    with pytest.raises(NoRoute, match=r"is not deployed here; name a model that is \(quick\)"):
        choose_role(wish, (DRAFT,))
