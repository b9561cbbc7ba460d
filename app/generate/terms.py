"""The terms of generation: who pays for images, at what price, and within which budgets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.fleet.prices import Price
from app.store.budgets import Caps
from app.store.costs import AttemptTime
from app.store.ledger import Account
from app.types import GenerationRequest, ModelVersion, Route

MIN_SAMPLES = 5
"""With fewer assets or images their spread means nothing."""
ASSUMED_SECONDS = 60.0
"""Seconds assumed for an attempt when nothing at all is known."""


@dataclass(frozen=True, slots=True)
class GenerationTerms:
    """Who pays for images, at what price, and within which budgets."""

    who: str = ""
    plan: str = ""
    price: Price = field(default_factory=Price)
    most_seconds: float = 0.0
    """The upper bound in seconds of one attempt, used when money is reserved for it."""
    caps: Caps = field(default_factory=Caps)
    assets: Mapping[str, str] = field(default_factory=dict)
    """The asset of each request, by request id; used only in the ledger."""

    def account(self, request: GenerationRequest, route: Route) -> Account:
        """Returns the account that an attempt at the request is charged to."""
        return Account(
            who=self.who,
            plan=self.plan,
            team=request.tags.team,
            model=route.model.reference,
            asset=self.assets.get(request.id),
            most_usd=self.price.max_usd(self.most_seconds),
        )


def max_attempt_seconds(model: ModelVersion, price: Price, tried: Sequence[AttemptTime]) -> float:
    """Returns the longest time in seconds for which money is reserved for an attempt.

    It is the price sheet's limit; else twice the longest of the latest attempts, or with few of
    them four times what the version declares; else `ASSUMED_SECONDS`. An attempt that takes longer
    still costs what it takes; a cap can be exceeded by that much.
    """
    if price.at_most_seconds is not None:
        return price.at_most_seconds
    if len(tried) >= MIN_SAMPLES:
        return 2 * max(attempt.seconds for attempt in tried)
    if model.seconds_per_image is not None:
        return 4 * model.seconds_per_image
    return ASSUMED_SECONDS
