"""A registered model version, and what a golden run measured of it."""

from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from app.errors import InvalidRequest
from app.types import Digest, ModelVersion, Name, Value

CHAMPION: Name = "champion"
"""The alias that plans name when they mean the version in use."""

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class Tolerance(Value):
    """How much worse than the champion a version may be on each axis."""

    acceptance: Share = 0.05
    agreement: Share = 0.05
    seconds_share: Amount = 0.3
    """As a share of the champion's seconds; on machines that others use they vary."""
    damaged_passes: Share = 0.02


LookResult = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{8}\.[0-9a-f]{16})?$")]
"""The beginning of the pixels' sha256 and the perceptual hash; empty where no picture came."""
LOOK_RESULTS = 64
"""Pictures of a golden set that leave their look with its result."""


class GoldenResult(Value):
    """What a version made of the golden set, and how well the checks could tell."""

    reference: str
    weights_digest: Digest
    golden_set: Digest
    """Prompts, seeds, rules and the critic: only results of one set can be compared."""
    images: Annotated[int, Field(ge=1)]
    failed: Annotated[int, Field(ge=0)]
    acceptance: Share
    """Accepted images as a share of all that were asked for."""
    agreement: Share | None
    """The critic's mean over the images that came; None without a critic."""
    seconds_per_image: Amount
    """Of the processor's own time on a CPU, of the clock's on a GPU; loading is not counted."""
    usd_per_image: Amount
    damaged_passes: Share
    """The share of deliberately damaged pictures that the same rules accept."""
    complaints: dict[str, int]
    """How often each rule spoke, by its measure."""
    looks: tuple[LookResult, ...] = ()
    """Of the first pictures of the set, in its order, to say how far another version's differ."""
    processor: str
    measured_at: str
    tolerance: Tolerance = Tolerance()


class RegisteredVersion(Value):
    """A version as the registry holds it."""

    model: ModelVersion
    role: str
    registered_at: str
    golden: GoldenResult | None = None
    """The newest golden result."""

    @property
    def reference(self) -> str:
        """The resolved name: draft/7."""
        return self.model.reference


def require_name(text: str) -> None:
    """Refuse what cannot name a model or an alias; raises InvalidRequest."""
    try:
        TypeAdapter(Name).validate_python(text)
    except ValidationError as exc:
        raise InvalidRequest(
            f"{text!r} cannot be a name here; write small letters, digits, dots and dashes, "
            "as in draft or poster-xl"
        ) from exc
