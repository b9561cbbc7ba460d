"""Renders explanations and policies for a person in a terminal."""

from collections.abc import Sequence

from app.cli.output import make_console
from app.cli.tables import Table, escape, number, usd
from app.route.cascade import AssetRequirements, CascadePlan, Explanation, ModelOption
from app.route.explain import AssetExplanation, PolicyArm
from app.route.policy import Policy, Rollout
from app.store.pointers import Pointer
from app.types import Kind, Value


class KeptPolicy(Value):
    """A policy with its digest."""

    digest: str
    policy: Policy


class PolicyList(Value):
    """The policies of the catalog, and which of them decide."""

    rollout: Rollout
    kept: dict[str, str]
    """When each was learned, by its digest."""
    changes: tuple[Pointer, ...]


def show_explanation(explained: AssetExplanation) -> None:
    """Prints the asset's cascade with its numbers, the alternatives, and each stage's result."""
    out = make_console()
    out.print(f"[bold]{escape(explained.asset)}[/] by {escape(explained.model)}")
    if explained.explanation is None:
        out.print("the plan names the model: there was nothing to choose")
    else:
        _show(explained.explanation)
    for turn in explained.turns:
        after = f" after {turn.after}" if turn.after else ""
        passed = "passed" if turn.passed else "none passed"
        out.print(f"  {turn.model}{after}: {turn.tried} tried, {passed}, {turn.seconds:.2f} s")
    for retry in explained.retries:
        out.print(f"    {escape(str(retry))}")


def _show(explanation: Explanation) -> None:
    out, policy = make_console(), explanation.policy
    by = f"policy {policy[:12]} ({explanation.arm})" if policy else "the built-in policy"
    out.print(f"{by}: {escape(explanation.reason)}")
    out.print(_requirements(explanation.wish))
    out.print(_options(explanation.options))
    for model, why in explanation.removed.items():
        out.print(f"  not {escape(model)}: {escape(why)}")
    out.print(_cascades(explanation.ways))
    if explanation.shadow:
        out.print(f"the policy on trial would have taken: {escape(explanation.shadow)}")


def _requirements(wish: AssetRequirements) -> str:
    within = f", within {wish.seconds:g} s" if wish.seconds else ""
    return (
        f"asked: {wish.kind} ({escape(', '.join(wish.labels))}), passing at {wish.confidence:g} "
        f"in {wish.attempts} attempts{within}"
    )


def _options(options: Sequence[ModelOption]) -> Table:
    table = Table("model", "s an image", "USD an image", "known from")
    for option in options:
        figures = number(option.seconds), usd(option.usd)
        table.add(option.model, *figures, option.measured or "not known")
    return table


def _cascades(plans: Sequence[CascadePlan]) -> Table:
    table = Table(
        "", "way", "passes", "surely", "images", "s accepted", "USD accepted", "against it"
    )
    for at, plan in enumerate(plans):
        table.add(
            "" if at else "->", str(plan), number(plan.chance or None, ".3f"),
            number(plan.least if plan.chance else None, ".3f"), number(plan.images, ".2f"),
            number(plan.seconds_per_accepted), usd(plan.usd_per_accepted), plan.refused,
        )  # fmt: skip
    return table


def show_policy(stored: KeptPolicy) -> None:
    """Prints what a policy knows of each model."""
    out, policy = make_console(), stored.policy
    out.print(f"policy [bold]{stored.digest[:12]}[/], learned from {policy.assets} decided assets")
    table = Table("model", "after", "kind", "passes", "surely", "assets", "s an image")
    for fit in policy.chances.fits:
        for kind in [kind for kind in Kind if f"kind={kind}" in fit.labels]:
            posterior = policy.chances.posterior(fit.model, kind, (), after=fit.after)
            pace = policy.paces.get(fit.model)
            table.add(
                fit.model, fit.after or "-", kind, number(posterior.pass_probability(1), ".3f"),
                number(posterior.lower_bound(1), ".3f"), fit.assets,
                number(pace.seconds if pace else None),
            )  # fmt: skip
    out.print(table)
    if policy.reliability is not None:
        out.print(
            f"predicted from one half of the assets, the other half passed as predicted within "
            f"{policy.reliability.ece:.3f} (expected calibration error)"
        )


def show_policies(listed: PolicyList) -> None:
    """Prints the policies with their share of the decisions, and the latest changes."""
    out, rollout = make_console(), listed.rollout
    table = Table("policy", "learned", "now")
    for digest, moment in listed.kept.items():
        trial = f"on trial for {rollout.share:.0%}" if digest == rollout.trial else ""
        table.add(digest[:12], moment, "live" if digest == rollout.live else trial)
    out.print(table if listed.kept else "no policy was learned yet: atelier policy learn")
    for change in listed.changes[:10]:
        out.print(f"  {change.moved_at}  {escape(change.reason)}")


def show_arms(arms: Sequence[PolicyArm]) -> None:
    """Prints a row for each policy that decided, and the cost of an accepted asset under it."""
    table = Table(
        "policy", "arm", "assets", "accepted", "images an asset", "s accepted",
        "the trial otherwise",
    )  # fmt: skip
    for arm in arms:
        per_accepted = arm.seconds / arm.accepted if arm.accepted else None
        table.add(
            arm.policy[:12] or "built in", arm.arm, arm.assets,
            number(arm.accepted / arm.assets, ".3f"), number(arm.images / arm.assets, ".2f"),
            number(per_accepted), arm.other,
        )  # fmt: skip
    make_console().print(table if arms else "no asset of a plan with model: auto was decided yet")


def show_rollout(rollout: Rollout) -> None:
    """Prints which policies decide."""
    make_console().print(f"routing: {rollout}")
