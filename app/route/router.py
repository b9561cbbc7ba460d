"""The model router: chooses models for a plan that leaves them open, by the current policy."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean

from app.digest import Json, digest
from app.errors import InvalidRequest, NoRoute
from app.fleet.prices import PriceSheet
from app.fleet.versions import resolve
from app.plan.schema import RoutePlan
from app.route.by_name import route_by_name, route_to
from app.route.cascade import (
    AssetRequirements,
    CascadePlan,
    Explanation,
    ModelOption,
    choose_cascade,
)
from app.route.policy import Policy, rollout
from app.store import documents
from app.store.catalog import Catalog
from app.types import AssetSpec, ModelVersion, Route

RECENT = timedelta(minutes=10)
"""An image is expected to take as long as those of this period; else as the policy says."""
MIN_IMAGES = 5
"""Recent images below which they are ignored."""
EXPLANATION = "explanation"
"""The kind of document."""


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """The cascade of an asset, and the digest of the document that explains it."""

    plan: CascadePlan
    explained: str


def routes_of(
    variants: Sequence[AssetSpec], models: Mapping[str, ModelVersion]
) -> tuple[dict[str, Route], dict[str, InvalidRequest]]:
    """Returns the routes to the models that can make the asset, by plan name, and the refusals."""
    routes: dict[str, Route] = {}
    refused: dict[str, InvalidRequest] = {}
    for spec in variants:
        resolve(spec.model, models)
        try:
            routes[spec.model] = route_by_name(spec, models)
        except InvalidRequest as refusal:
            refused[spec.model] = refusal
    return routes, refused


def asset_key(variants: Sequence[AssetSpec], models: Mapping[str, ModelVersion]) -> str:
    """Returns the key of an asset whichever of its models makes it: law 1."""
    keys: list[Json] = [route_to(resolve(spec.model, models)).key(spec.digest) for spec in variants]
    return str(keys[0]) if len(keys) == 1 else digest(keys)


class ModelRouter:
    """Chooses models for one run; policies are read once, image times at each `refresh`.

    Assets of the same group get the same explanation until `refresh`, which reads the current image
    times. So a model that has become slow or expensive is left, and used again later.
    """

    def __init__(
        self,
        terms: RoutePlan,
        models: Mapping[str, ModelVersion],
        catalog: Catalog,
        prices: PriceSheet,
        *,
        keeps: bool = True,
    ) -> None:
        self._keeps = keeps
        self._terms, self._models, self._catalog, self._prices = terms, models, catalog, prices
        self._rollout = rollout(catalog)
        asked = {
            policy_digest
            for policy_digest in (self._rollout.live, self._rollout.trial)
            if policy_digest
        }
        self._policies = {
            policy_digest: documents.get(catalog, policy_digest, Policy) for policy_digest in asked
        }
        fits = [fit for policy in self._policies.values() for fit in policy.chances.fits]
        self._labels = frozenset(label for fit in fits for label in fit.labels)
        self.refresh()

    def refresh(self) -> None:
        """Forgets the image times and choices, so that both are computed again."""
        self._chosen: dict[tuple[Hashable, ...], RouteChoice] = {}
        self._recent_by_model: dict[str, float | None] = {}

    def choose(self, variants: Sequence[AssetSpec], key: str) -> RouteChoice:
        """Returns the cascade of an asset; `variants` are its specs for the plan's models.

        Raises NoRoute when none of them can make it.
        """
        sort = (
            self._requirements(variants[0]),
            self._rollout.in_trial(key),
            *map(_routing_group, variants),
        )
        if sort not in self._chosen:
            explanation = self.explain(variants, key)
            kept = documents.put(self._catalog, EXPLANATION, [explanation] if self._keeps else [])
            self._chosen[sort] = RouteChoice(explanation.chosen, kept[0] if kept else "")
        return self._chosen[sort]

    def _requirements(self, spec: AssetSpec) -> AssetRequirements:
        return AssetRequirements(
            kind=spec.kind,
            labels=tuple(sorted({self._known(label) for label in spec.labels})),
            candidates=spec.candidates,
            attempts=spec.attempts,
            confidence=self._terms.confidence,
            cascade=self._terms.cascade,
            strength=self._terms.strength,
            seconds=self._terms.seconds,
            usd=self._terms.usd,
        )

    def _known(self, label: str) -> str:
        """Returns the label, or ? where no policy knows it.

        Unknown labels need not be distinguished, and a plan may have as many labels as assets.
        """
        family, equals, _ = label.partition("=")
        return label if label in self._labels else family + "=?" if equals else "?"

    def explain(self, variants: Sequence[AssetSpec], key: str) -> Explanation:
        """Returns why the asset takes its cascade, according to the policy that decides it.

        Where a trial policy does not decide, its choice is recorded as `shadow`. Raises NoRoute
        when no model can make the asset.
        """
        wish, on_trial = self._requirements(variants[0]), self._rollout.in_trial(key)
        routes, refused = routes_of(variants, self._models)
        removed = {model: str(refusal) for model, refusal in refused.items()}
        if not routes:
            reasons = "; ".join(f"{model}: {why}" for model, why in removed.items())
            raise NoRoute(f"no model of the plan's route can make {variants[0].name}: {reasons}")
        live, trial = self._rollout.live, self._rollout.trial
        decides = trial if on_trial else live
        decided = self._explain_by(decides, wish, routes, removed)
        if on_trial or trial is None:
            return decided.replace(arm="trial" if on_trial else decided.arm)
        return decided.replace(shadow=str(self._explain_by(trial, wish, routes, removed).chosen))

    def _explain_by(
        self,
        named: str | None,
        wish: AssetRequirements,
        routes: Mapping[str, Route],
        removed: Mapping[str, str],
    ) -> Explanation:
        policy = self._policies[named] if named else None
        return choose_cascade(
            wish,
            [self._option(name, route, policy) for name, route in routes.items()],
            policy.chances if policy else None,
            policy=named,
            arm="live" if policy else "builtin",
            removed=removed,
        )

    def _option(self, name: str, route: Route, policy: Policy | None) -> ModelOption:
        model = route.model
        seconds, measured = self._seconds(model, policy)
        price = self._prices.price(model, route.backend)
        return ModelOption(
            name=name,
            model=model.reference,
            seconds=seconds,
            usd=None if seconds is None else price.max_usd(seconds),
            measured=measured,
            latent_space=model.latent_space,
            continues=bool(model.latent_space),
        )

    def _seconds(self, model: ModelVersion, policy: Policy | None) -> tuple[float | None, str]:
        recent = self._recent_seconds(model.reference)
        if recent is not None:
            return recent, f"images of the last {RECENT.seconds // 60} minutes"
        if policy is not None and model.reference in policy.paces:
            return policy.paces[model.reference].seconds, "the policy"
        own = model.seconds_per_image
        return own, "" if own is None else "the version's own figure"

    def _recent_seconds(self, model: str) -> float | None:
        if model not in self._recent_by_model:
            since = (datetime.now(UTC) - RECENT).isoformat(timespec="milliseconds")
            tried = self._catalog.attempt_times(model, since=since.replace("+00:00", "Z"))
            enough = len(tried) >= MIN_IMAGES
            self._recent_by_model[model] = (
                fmean(attempt.seconds for attempt in tried) if enough else None
            )
        return self._recent_by_model[model]


def _routing_group(spec: AssetSpec) -> tuple[Hashable, ...]:
    """Returns what decides whether a model can make a spec: all but its texts and its seed."""
    request = spec.request
    frame = request.width, request.height, request.init_image, request.tags.residency
    steps = request.num_inference_steps, request.guidance_scale, request.sampler, request.strength
    return spec.model, *frame, *steps, bool(request.text_layers), bool(request.negative_prompt)
