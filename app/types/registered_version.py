"""A registered model version and its golden result."""

from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from app.errors import InvalidRequest
from app.types import Digest, ModelVersion, Name, Value

CHAMPION: Name = "champion"
"""The alias of the version in use; plans name it."""

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class Tolerance(Value):
    """How much worse than the champion a version may be in each measure."""

    acceptance: Share = 0.05
    agreement: Share = 0.05
    seconds_share: Amount = 0.3
    """As a share of the champion's seconds, which vary on shared machines."""
    damaged_passes: Share = 0.02


LookResult = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{8}\.[0-9a-f]{16})?$")]
"""The first digits of the pixels' sha256 and the perceptual hash; empty if there is no image."""
LOOK_RESULTS = 64
"""The number of images of a golden set whose hashes are kept with its result."""


class GoldenResult(Value):
    """The result of a version on the golden set, with the share of damaged images that pass."""

    reference: str
    weights_digest: Digest
    golden_set: Digest
    """The digest of prompts, seeds, rules and critic: only results of one set can be compared."""
    images: Annotated[int, Field(ge=1)]
    failed: Annotated[int, Field(ge=0)]
    acceptance: Share
    """Accepted images as a share of all requested ones."""
    agreement: Share | None
    """The critic's mean over the images made; None without a critic."""
    seconds_per_image: Amount
    """Processor time on a CPU, wall-clock time on a GPU; loading is not counted."""
    usd_per_image: Amount
    damaged_passes: Share
    """The share of deliberately damaged images that the same rules accept."""
    complaints: dict[str, int]
    """How often each rule was broken, by its measure."""
    looks: tuple[LookResult, ...] = ()
    """Hashes of the first images of the set, in order, to compare with those of another version."""
    processor: str
    measured_at: str
    tolerance: Tolerance = Tolerance()


class RegisteredVersion(Value):
    """A version as the registry stores it."""

    model: ModelVersion
    role: str
    registered_at: str
    golden: GoldenResult | None = None
    """The newest golden result."""

    @property
    def reference(self) -> str:
        """Returns the resolved name: draft/7."""
        return self.model.reference


def require_name(text: str) -> None:
    """Raises InvalidRequest for text that cannot name a model or an alias."""
    try:
        TypeAdapter(Name).validate_python(text)
    except ValidationError as exc:
        raise InvalidRequest(
            f"{text!r} cannot be a name here; write lower-case letters, digits, dots and dashes, "
            "as in draft or poster-xl"
        ) from exc
