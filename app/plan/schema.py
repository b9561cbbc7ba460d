"""The schema of a plan file, version 1, and the default acceptance rules of each kind."""

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
"""The default rules; a plan's rules for a check replace these for the same check."""
TEXT_RULES = (
    Rule(check=Measure.DECODES, at_least=1),
    Rule(check=Measure.SIZE_ERROR, at_most=0),
    Rule(check=Measure.CONTRAST, at_least=0.005),
    Rule(check=Measure.TEXT_ERROR, at_most=0, otherwise=Verdict.REVIEW),
)
"""The default rules of assets with text layers, in place of `RULES`.

Letters are small pieces, and one background may carry many texts.
"""


class InheritableFields(Value):
    """Fields that an asset sets itself or inherits from the plan's defaults (None: inherited)."""

    kind: Kind | None = None
    usage: ShortText | None = None
    prompt: Prompt | None = None
    negative_prompt: Template | None = None
    sizes: Sizes | None = None
    candidates: Candidates | None = None
    attempts: Attempts | None = None
    """The most images made of one asset; by default three times the candidates.

    By default one over a background, which is the same for every seed.
    """
    refine: Refine | None = None
    """What a further attempt changes: the seed (default), or a parameter to fix the broken rule."""
    rules: tuple[AcceptanceRule, ...] = ()
    num_inference_steps: Steps | None = None
    """This and the next three default to the model version's own values."""
    guidance_scale: GuidanceScale | None = None
    width: Pixels | None = None
    height: Pixels | None = None
    sampler: Sampler | None = None
    pivot: Pivot | None = None
    background: Background | None = None
    """The image that text is set over, unchanged; nothing is rendered then."""


class Defaults(InheritableFields):
    """The values that every asset inherits unless it sets its own."""


class AssetTags(Value):
    """Who requests the asset and under which terms; an asset's tags override the plan's."""

    team: ShortText | None = None
    labels: Annotated[tuple[ShortText, ...], Field(max_length=16)] | None = None
    """Free words for the kind of asset; the pass probability is learned per label."""
    residency: Literal["local"] | None = None
    """`local`: only the user's own machines may process it."""
    priority: Priority | None = None


class PlanAsset(InheritableFields):
    """One asset, or one for every combination of its axes' values."""

    name: PlainName
    axes: dict[AxisName, AxisValues] = Field(default_factory=dict)
    """Replace {axis} in the texts; in names and in expansion the axes are sorted by name."""
    exclude: tuple[dict[str, AxisValues], ...] = ()
    """Combinations left out; an entry matches all that agree with it on the axes it names."""
    carry: tuple[str, ...] = ()
    """Axes that need not appear in the prompt, besides `locale` and `experiment`."""
    model: ShortText | None = None
    seed: Seed | None = None
    tags: AssetTags = AssetTags()
    text_layers: tuple[TextLayer, ...] = ()


class Bounds(Value):
    """The allowed ranges of a plan's parameters; values outside them are refused."""

    num_inference_steps: Limits | None = None
    guidance_scale: Limits | None = None
    width: Limits | None = None
    height: Limits | None = None
    candidates: Limits | None = None
    attempts: Limits | None = None
    axes: dict[AxisName, AxisValues] = Field(default_factory=dict)
    """Closed sets, for example a palette: an axis of this name may hold no other value."""


class Pack(Value):
    """How finished assets are packed; `sizes` names the packed sizes, None means all."""

    sizes: Sizes | None = None
    max_page_size: Annotated[int, Field(ge=16, le=4096)] = 2048
    padding: Annotated[int, Field(ge=0, le=64)] = 2
    extrude: Annotated[int, Field(ge=0, le=16)] = 1
    power_of_two: bool = True


Usd = Annotated[float, Field(ge=0, le=1_000_000)]


class Budget(Value):
    """The most that a plan may cost, in all its runs together: beyond it no attempt is started."""

    usd: Usd
    at_cap: Literal["stop", "draft"] = "stop"
    """What happens to the remaining assets: none is made, or the draft model makes them."""
    draft_model: ShortText | None = None
    draft_usd: Usd = 0.0
    """The part of `usd` that is reserved for drafts; a draft model without cost needs none."""


AUTO = "auto"
"""In place of a model: the cheapest of `route.models` that is likely to pass."""


MAX_MODELS = 6
"""The most models to choose from: every pair of them is a cascade to be evaluated."""


class RoutePlan(Value):
    """The models that may make assets with `model: auto`, and the limits of their cascade."""

    models: Annotated[tuple[ShortText, ...], Field(min_length=1, max_length=MAX_MODELS)]
    """From light to heavy: they are tried in this order as long as nothing was measured."""
    confidence: Annotated[float, Field(ge=0.01, le=0.999)] = 0.9
    """The required probability that an asset passes within its attempts."""
    cascade: bool = True
    """Whether a heavier model may continue where the judge refused a lighter model's image."""
    strength: Annotated[float, Field(ge=0.05, le=1)] = 0.6
    """The share of the steps that a heavier model repeats on the lighter model's image."""
    seconds: Annotated[float, Field(ge=0.001)] | None = None
    """The most expected seconds to make an asset."""
    usd: Annotated[float, Field(ge=0.000001)] | None = None
    """The most expected USD to make an asset."""


class AcceptPlan(Value):
    """What may be accepted without a person, by the promoted calibration; see `app/accept`."""

    false_accepts: Annotated[float, Field(ge=0.0001, le=0.5)]
    """The tolerated share of bad images among those accepted without a person."""
    confidence: Annotated[float, Field(ge=0.5, le=0.999)] = 0.9
    """The confidence with which the calibration must keep each of the two rates."""
    false_rejects: Annotated[float, Field(ge=0.0001, le=0.5)] = 0.05
    """The tolerated share of good images among those refused without a person."""


class Plan(Value):
    """A whole plan as written; `expand` turns it into asset specs."""

    atelier: Literal[1]
    name: PlainName
    model: ShortText = "starter"
    seed: Seed = 0
    max_assets: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    """The plan is refused when it has more assets than this."""
    tags: AssetTags = AssetTags()
    budget: Budget | None = None
    route: RoutePlan | None = None
    accept: AcceptPlan | None = None
    """None: only the rules decide what is accepted."""
    brand: Brand | None = None
    """How every image of the plan must look; a path names the file of the brand."""
    unique: Literal["catalog"] | None = None
    """The images that an asset may not nearly repeat.

    By default each other; with `catalog` also everything accepted before the plan was first
    started.
    """
    defaults: Defaults = Defaults()
    bounds: Bounds = Bounds()
    assets: Annotated[tuple[PlanAsset, ...], Field(min_length=1)]
    pack: Pack = Pack()

    def as_json(self) -> dict[str, Json]:
        """Returns the plan as JSON without keys added later that it does not use.

        So the digests of older plans stay the same.
        """
        left_out = [
            field for field in ("accept", "brand", "unique") if getattr(self, field) is None
        ]
        return {field: value for field, value in super().as_json().items() if field not in left_out}

    @property
    def schema_version(self) -> int:
        """Returns the version of the schema, which the file gives under the key `atelier`."""
        return self.atelier
