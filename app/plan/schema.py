"""The schema of a plan file, version 1, and the acceptance rules that each kind starts from."""

from typing import Annotated, Literal

from pydantic import Field

from app.digest import Json
from app.plan.background import Background
from app.plan.brand import Brand
from app.plan.fields import (
    AcceptanceRule,
    AxisName,
    AxisValues,
    Limits,
    PlainName,
    Prompt,
    ShortText,
    Sizes,
    Template,
)
from app.types import (
    Attempts,
    Candidates,
    GuidanceScale,
    Kind,
    Measure,
    Pivot,
    Pixels,
    Priority,
    Refine,
    Rule,
    Sampler,
    Seed,
    Steps,
    TextLayer,
    Value,
    Verdict,
)

CARRIED_AXES = frozenset({"locale", "experiment"})
"""Axes that need not appear in the prompt: their value is part of the name and is recorded."""

_ANY_PICTURE = (
    Rule(check=Measure.DECODES, at_least=1),
    Rule(check=Measure.SIZE_ERROR, at_most=0),
    Rule(check=Measure.CONTRAST, at_least=0.005),
    Rule(check=Measure.SHARPNESS, at_least=0.45),
    Rule(check=Measure.AGREEMENT, at_least=0.75),
    Rule(check=Measure.DUPLICATE_DISTANCE, at_least=3),
)
_CUTOUT = (
    *_ANY_PICTURE,
    Rule(check=Measure.COVERAGE, at_least=0.05, at_most=0.9),
    Rule(check=Measure.SOFTNESS, at_most=0.4),
    Rule(check=Measure.FRAGMENTS, at_most=0.05),
    Rule(check=Measure.BORDER, at_most=0.5),
)
RULES: dict[Kind, tuple[Rule, ...]] = {
    Kind.ICON: _CUTOUT,
    Kind.SPRITE: _CUTOUT,
    Kind.PRODUCT: _CUTOUT,
    Kind.TEXTURE: _ANY_PICTURE,
    Kind.POSTER: _ANY_PICTURE,
}
"""A plan's rules for a check take the place of these for the same check."""
TEXT_RULES = (
    Rule(check=Measure.DECODES, at_least=1),
    Rule(check=Measure.SIZE_ERROR, at_most=0),
    Rule(check=Measure.CONTRAST, at_least=0.005),
    Rule(check=Measure.TEXT_ERROR, at_most=0, otherwise=Verdict.REVIEW),
)
"""Instead, where text is set: letters are small pieces, and one picture may bear many texts."""


class InheritableFields(Value):
    """What an asset may say for itself or leave to the plan's defaults (None: left)."""

    kind: Kind | None = None
    usage: ShortText | None = None
    prompt: Prompt | None = None
    negative_prompt: Template | None = None
    sizes: Sizes | None = None
    candidates: Candidates | None = None
    attempts: Attempts | None = None
    """Images made of one asset at most; three times the candidates when nobody says.

    Once over a background, which is the same for every seed.
    """
    refine: Refine | None = None
    """What a further attempt changes: the seed (when nobody says), or what mends the failed rule.
    """
    rules: tuple[AcceptanceRule, ...] = ()
    num_inference_steps: Steps | None = None
    """This and the next three: the model version's own when nobody says."""
    guidance_scale: GuidanceScale | None = None
    width: Pixels | None = None
    height: Pixels | None = None
    sampler: Sampler | None = None
    pivot: Pivot | None = None
    background: Background | None = None
    """The picture that text is set over, as it is; nothing is painted then."""


class Defaults(InheritableFields):
    """What every asset inherits that does not say otherwise."""


class AssetTags(Value):
    """Who asks for it and under which terms; an asset's tags stand over the plan's one by one."""

    team: ShortText | None = None
    labels: Annotated[tuple[ShortText, ...], Field(max_length=16)] | None = None
    """What sort of asset it is, in words of one's own: chances of passing are learned by them."""
    residency: Literal["local"] | None = None
    """`local`: no machine but one's own may ever see it."""
    priority: Priority | None = None


class PlanAsset(InheritableFields):
    """One asset, or one for every combination of its axes' values."""

    name: PlainName
    axes: dict[AxisName, AxisValues] = Field(default_factory=dict)
    """Put into the texts as {axis}; in names and in expansion the axes stand sorted by name."""
    exclude: tuple[dict[str, AxisValues], ...] = ()
    """Combinations left out; an entry matches all that agree with it on the axes it names."""
    carry: tuple[str, ...] = ()
    """Axes that need not appear in the prompt, beside `locale` and `experiment`."""
    model: ShortText | None = None
    seed: Seed | None = None
    tags: AssetTags = AssetTags()
    text_layers: tuple[TextLayer, ...] = ()


class Bounds(Value):
    """Where a plan's parameters must stay; what lies outside is refused."""

    num_inference_steps: Limits | None = None
    guidance_scale: Limits | None = None
    width: Limits | None = None
    height: Limits | None = None
    candidates: Limits | None = None
    attempts: Limits | None = None
    axes: dict[AxisName, AxisValues] = Field(default_factory=dict)
    """Closed sets, a palette say: an axis of this name may hold no other value."""


class Pack(Value):
    """How finished assets are packed; `sizes` names those that are, None means all."""

    sizes: Sizes | None = None
    max_page_size: Annotated[int, Field(ge=16, le=4096)] = 2048
    padding: Annotated[int, Field(ge=0, le=64)] = 2
    extrude: Annotated[int, Field(ge=0, le=16)] = 1
    power_of_two: bool = True


Usd = Annotated[float, Field(ge=0, le=1_000_000)]


class Budget(Value):
    """What a plan may cost, in all its runs together: beyond it no attempt is begun."""

    usd: Usd
    at_cap: Literal["stop", "draft"] = "stop"
    """What becomes of the assets that are left: none is made, or the draft model makes them."""
    draft_model: ShortText | None = None
    draft_usd: Usd = 0.0
    """The part of `usd` that is kept for drafts; a draft that costs nothing needs none."""


AUTO = "auto"
"""In the place of a model: whichever of `route.models` is the cheapest that is likely to pass."""


MAX_MODELS = 6
"""Models to choose from: every pair of them is a way to be weighed."""


class RoutePlan(Value):
    """Which models may make the assets of `model: auto`, and what must hold of the way."""

    models: Annotated[tuple[ShortText, ...], Field(min_length=1, max_length=MAX_MODELS)]
    """From light to heavy: in this order they are tried as long as nothing was measured."""
    confidence: Annotated[float, Field(ge=0.01, le=0.999)] = 0.9
    """How likely an asset must be to pass within its attempts."""
    cascade: bool = True
    """Whether a heavier model may take over where the judge refused what a lighter one made."""
    strength: Annotated[float, Field(ge=0.05, le=1)] = 0.6
    """How much of the steps a heavier model repeats when it goes on from the lighter's picture."""
    seconds: Annotated[float, Field(ge=0.001)] | None = None
    """How long making an asset may be expected to take."""
    usd: Annotated[float, Field(ge=0.000001)] | None = None
    """What making an asset may be expected to cost."""


class AcceptPlan(Value):
    """What may go without a person, by the calibration that is promoted; see `app/accept`."""

    false_accepts: Annotated[float, Field(ge=0.0001, le=0.5)]
    """The share of bad pictures that is tolerated among those accepted without a person."""
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.9
    """How surely the calibration must keep the two rates, each for itself."""
    false_rejects: Annotated[float, Field(ge=0.0001, le=0.5)] = 0.05
    """The share of good pictures that is tolerated among those refused without a person."""


class Plan(Value):
    """A whole plan as it was written; `expand` says what follows from it."""

    atelier: Literal[1]
    name: PlainName
    model: ShortText = "starter"
    seed: Seed = 0
    max_assets: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    """The plan is refused when it asks for more assets than this."""
    tags: AssetTags = AssetTags()
    budget: Budget | None = None
    route: RoutePlan | None = None
    accept: AcceptPlan | None = None
    """None: the rules alone say what is accepted."""
    brand: Brand | None = None
    """How everything in the plan must look; a path stands for the file that says it."""
    unique: Literal["catalog"] | None = None
    """What assets may not nearly repeat: each other, and with `catalog` all that was accepted
    before the plan was first begun."""
    defaults: Defaults = Defaults()
    bounds: Bounds = Bounds()
    assets: Annotated[tuple[PlanAsset, ...], Field(min_length=1)]
    pack: Pack = Pack()

    def as_json(self) -> dict[str, Json]:
        """Without what plans could not say at first and this one does not, so that digests stay."""
        left_out = [
            field for field in ("accept", "brand", "unique") if getattr(self, field) is None
        ]
        return {field: value for field, value in super().as_json().items() if field not in left_out}

    @property
    def schema_version(self) -> int:
        """The version of the schema, which the file gives under the key `atelier`."""
        return self.atelier
