"""Alerts: distinguishes temporary outages from regressions of a model's images; pure.

An outage shows in attempts that fail or take far longer, a regression in images that are made and
not accepted; each has its own evidence, so one does not hide the other. The newest images are
compared with those before them. An alarm is raised when so many bad ones are nearly impossible at
the earlier rate, including that rate's own uncertainty (beta-binomial), and when the share is worse
by at least a tenth. Knows no database and no clock.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import exp, lgamma
from statistics import median

from app.types.base import Value

WINDOWS = (8, 16, 32, 64)
"""Numbers of newest images examined: few catch a sudden failure, many a slow decline."""
MIN_SAMPLES = 40
"""Images needed before the windows, for comparison."""
ODDS = 1e-5
"""Probability of a false alarm at one test of one window."""
WORSE_BY = 0.1
USUAL_FAILURES = (1, 9)
"""Failures and successes assumed for a model with no history."""
SLOWER = 3.0
"""Multiple of the usual seconds per image."""
STALLED_SECONDS = 900.0
BUDGET_WARNING_SHARE = 0.9
"""Of a budget."""


class AlertKind(StrEnum):
    """The kind of trouble."""

    OUTAGE = "outage"
    """A backend fails or is slow; its images are as good as before: wait, or use another model."""
    REGRESSION = "regression"
    """Images are made as usual and fewer are accepted: check the images before spending more."""
    DRIFT = "drift"
    """Images differ from those made before, whether or not they are accepted."""
    BUDGET = "budget"
    STALLED = "stalled"


class Alert(Value):
    """One alert: its kind, its subject, and the message."""

    trouble: AlertKind
    subject: str
    """A model, a budget or a run."""
    message: str


def model_alerts(
    model: str,
    *,
    failures: Sequence[bool],
    seconds: Sequence[float],
    acceptances: Sequence[bool],
) -> tuple[Alert, ...]:
    """Returns the alerts of a model from its latest attempts and decided assets, the oldest first.

    `seconds` are those of attempts that made an image. Delays with a history of 300 images, as
    tested: a backend that always fails alerts within 8 attempts, one that fails every second time
    within 32; a slow one within 8 images; acceptance that falls from 90% to none alerts within 8
    images, to a half within 64.
    """
    alerts = (
        _failing(model, failures) or _slow(model, seconds),
        _acceptance_drop(model, acceptances),
    )
    return tuple(alert for alert in alerts if alert is not None)


def budget_alert(name: str, *, spent_usd: float, cap_usd: float) -> Alert | None:
    """Returns an alert when nine tenths of the budget are spent, or all of it; else None."""
    if spent_usd < BUDGET_WARNING_SHARE * cap_usd:
        return None
    verb = "is spent" if spent_usd >= cap_usd else "is nearly spent"
    message = f"the budget of {name} {verb}: ${spent_usd:.4f} of ${cap_usd:.4f}"
    return Alert(trouble=AlertKind.BUDGET, subject=name, message=message)


def drift_alert(run_id: str, *, measures: Sequence[str], after: int) -> Alert | None:
    """Returns an alert when any measure left its band, the first at image `after`; else None."""
    if not measures:
        return None
    message = (
        f"from image {after} on, {run_id} drifts from earlier runs in {', '.join(measures)}; "
        "check its contact sheet"
    )
    return Alert(trouble=AlertKind.DRIFT, subject=run_id, message=message)


def stalled_alert(run_id: str, *, still_seconds: float) -> Alert | None:
    """Returns an alert when an open run recorded no attempt for a quarter of an hour; else None."""
    if still_seconds < STALLED_SECONDS:
        return None
    message = (
        f"{run_id} has recorded no attempt for {still_seconds / 60:.0f} min; it waits or was "
        "killed: run its plan again to continue"
    )
    return Alert(trouble=AlertKind.STALLED, subject=run_id, message=message)


def tail_probability(bad: int, of: int, *, before: tuple[int, int]) -> float:
    """Returns the probability of at least `bad` bad ones in `of`, after `before` = (bad, good)."""
    a, b = before[0] + 0.5, before[1] + 0.5
    return min(1.0, sum(_chance(k, of, a, b) for k in range(bad, of + 1)))


def _failing(model: str, failures: Sequence[bool]) -> Alert | None:
    worst = _worse_window(failures, USUAL_FAILURES)
    if worst is None:
        return None
    bad, of = worst
    message = f"{bad} of the last {of} attempts of {model} made no image: its backend fails"
    return Alert(trouble=AlertKind.OUTAGE, subject=model, message=message)


def _slow(model: str, seconds: Sequence[float]) -> Alert | None:
    recent, before = seconds[-WINDOWS[0] :], seconds[: -WINDOWS[-1]]
    if len(before) < MIN_SAMPLES:
        return None
    now, usual = median(recent), median(before)
    if now <= SLOWER * usual:
        return None
    message = f"images of {model} take {now:.2f} s, usually {usual:.2f} s"
    return Alert(trouble=AlertKind.OUTAGE, subject=model, message=message)


def _acceptance_drop(model: str, acceptances: Sequence[bool]) -> Alert | None:
    worst = _worse_window([not accepted for accepted in acceptances], None)
    if worst is None:
        return None
    bad, of = worst
    message = (
        f"{of - bad} of the last {of} images of {model} were accepted, far fewer than before; "
        "check them before spending more"
    )
    return Alert(trouble=AlertKind.REGRESSION, subject=model, message=message)


def _worse_window(
    marks: Sequence[bool], otherwise: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Returns (bad, of) of the first window that cannot be chance; None when all may be."""
    earlier = marks[: -WINDOWS[-1]]
    known = len(earlier) >= MIN_SAMPLES
    if not known and otherwise is None:
        return None
    before = (sum(earlier), len(earlier) - sum(earlier)) if known else otherwise
    assert before is not None
    usual = before[0] / sum(before)
    for of in WINDOWS:
        bad = sum(marks[-of:])
        if len(marks) < of or bad / of < usual + WORSE_BY:
            continue
        if tail_probability(bad, of, before=before) < ODDS:
            return bad, of
    return None


def _chance(k: int, n: int, a: float, b: float) -> float:
    """Returns the beta-binomial probability of k in n."""
    choose = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return exp(choose + _log_beta(k + a, n - k + b) - _log_beta(a, b))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
