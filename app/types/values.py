"""The values that flow: frozen, complete when constructed, named by their digest."""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, TypeAlias

from pydantic import Field, StringConstraints

from app.digest import digest, digest_bytes
from app.types.base import Pivot as Pivot
from app.types.base import Pixels as Pixels
from app.types.base import Rect as Rect
from app.types.base import Size as Size
from app.types.base import Value as Value
from app.types.hosted_model import Hosted as Hosted
from app.types.judgement import BrandRule as BrandRule
from app.types.judgement import Finding as Finding
from app.types.judgement import QualityReport as QualityReport
from app.types.judgement import Rule as Rule
from app.types.judgement import Verdict as Verdict
from app.types.measures import Measure as Measure
from app.types.text_layer import TextLayer as TextLayer

PIPELINE_VERSION = "1"
"""Part of every key: raise it when the same request would give other pixels."""

Digest: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=120)
]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]
Steps: TypeAlias = Annotated[int, Field(ge=1, le=200)]
GuidanceScale: TypeAlias = Annotated[float, Field(ge=0, le=30)]
Candidates: TypeAlias = Annotated[int, Field(ge=1, le=64)]
Attempts: TypeAlias = Annotated[int, Field(ge=1, le=256)]
Priority: TypeAlias = Annotated[int, Field(ge=0, le=9)]


class Kind(StrEnum):
    """What sort of asset a plan asks for."""

    ICON = "icon"
    SPRITE = "sprite"
    TEXTURE = "texture"
    POSTER = "poster"
    PRODUCT = "product"


class Tier(StrEnum):
    """Which role answers: quick and rough, or final."""

    DRAFT = "draft"
    FINAL = "final"


class Sampler(StrEnum):
    """How a step follows from the model's velocity; both cost one forward pass a step."""

    EULER = "euler"
    DPMPP_2M = "dpmpp_2m"
    """DPM-Solver++ of second order, multistep (Lu et al. 2022): less error in few steps."""


class Refine(StrEnum):
    """How a further attempt differs from one that failed."""

    SEED = "seed"
    """By the next seed alone."""
    REASON = "reason"
    """By the change that has most often mended what was wrong, for what it costs."""


class Status(StrEnum):
    """What became of an asset."""

    ACCEPTED = "accepted"
    REVIEW = "review"
    REJECTED = "rejected"
    FAILED = "failed"


class Tags(Value):
    """Who asked and under which terms; never part of what is made."""

    team: str = ""
    residency: str = ""
    priority: Priority = 5
    labels: tuple[str, ...] = ()
    """What sort of asset it is, in the words of whoever asks."""


class GenerationRequest(Value):
    """One image asked for."""

    prompt: Annotated[str, Field(min_length=1, max_length=2000)]
    negative_prompt: Annotated[str, Field(max_length=2000)] = ""
    width: Pixels
    height: Pixels
    num_inference_steps: Steps
    guidance_scale: GuidanceScale
    sampler: Sampler = Sampler.EULER
    seed: Seed = 0
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How much of `init_image` is painted anew; at 0 it stays as it is, and text is set over it."""
    init_image: Digest | None = None
    mask_image: Digest | None = None
    text_layers: tuple[TextLayer, ...] = ()
    tier: Tier = Tier.FINAL
    tags: Tags = Tags()

    @cached_property
    def id(self) -> str:
        """The digest of all that decides the pixels; tier and tags do not."""
        return digest(self.model_dump(mode="json", exclude={"tier", "tags"}))

    @property
    def prompt_digest(self) -> str:
        """The sha256 of the prompt's UTF-8 bytes."""
        return digest_bytes(self.prompt.encode())


class AssetSpec(Value):
    """One asset asked for: an expanded row of a plan, complete in itself."""

    name: Name
    kind: Kind
    usage: str
    axes: dict[str, str]
    request: GenerationRequest
    sizes: Annotated[tuple[Size, ...], Field(min_length=1)]
    candidates: Candidates = 1
    attempts: Attempts = 1
    refine: Refine = Refine.SEED
    rules: tuple[Rule, ...] = ()
    brand: tuple[BrandRule, ...] = ()
    """What the plan's brand asks for beside the rules."""
    pivot: Pivot = Pivot()
    model: str = "starter"

    @cached_property
    def digest(self) -> str:
        """The digest of all that decides the finished asset; tier and tags do not.

        Further seeds are left unsaid, and no brand, so that specs from before there was a choice
        keep theirs.
        """
        fields = self.model_dump(mode="json", exclude={"request": {"tier", "tags"}})
        if self.refine is Refine.SEED:
            del fields["refine"]
        if not self.brand:
            del fields["brand"]
        return digest(fields)

    @property
    def demands(self) -> tuple[Rule, ...]:
        """Every rule that its pictures must keep: its own, and the brand's."""
        return (*self.rules, *self.brand)

    @property
    def labels(self) -> tuple[str, ...]:
        """What it has in common with others, sorted: the tags' labels, axes' values, size, text.

        Whichever model makes it, they are the same.
        """
        asked, size = self.request, max(self.sizes, key=lambda one: one.width * one.height)
        found = {*asked.tags.labels, *(f"{axis}={value}" for axis, value in self.axes.items())}
        return tuple(sorted(found | {str(size)} | ({"text"} if asked.text_layers else set())))

    def candidate(self, index: int) -> GenerationRequest:
        """The request for candidate `index`, counted from 0: the seeds follow each other."""
        return self.request.replace(seed=(self.request.seed + index) % 2**32)


class ModelVersion(Value):
    """A model as a measured good: what it is, what it can do, what it knows."""

    name: Name
    version: str
    family: str
    weights_digest: Digest
    licence: str
    source: str = ""
    latent_space: str = ""
    capabilities: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    """Every word it was trained on, lower case; empty when it knows open language."""
    sizes: tuple[Size, ...] = ()
    """The sizes it was trained at; empty when any size will do."""
    num_inference_steps: int
    guidance_scale: float
    max_sequence_length: int
    seconds_per_image: Annotated[float, Field(gt=0)] | None = None
    """As measured on one CPU core at the default steps, for estimates before any history."""
    critic: str = ""
    """The folder of the image-text critic that knows the same words, beside the model's own."""
    folder: str = ""
    """Where its files stand on every machine that renders it; empty: they ship with Atelier."""
    hosted: Hosted | None = None
    """Where it is reached when it has no files: somebody else's service renders it."""

    @property
    def reference(self) -> str:
        """The resolved name that is recorded, never an alias: starter-icons/1."""
        return f"{self.name}/{self.version}"

    @property
    def residency(self) -> str:
        """Where requests go that it answers: `local` is one's own machines, `hosted` is not."""
        return "hosted" if self.hosted else "local"

    @property
    def backend(self) -> str:
        """What renders it; part of the key of all it makes."""
        if self.hosted:
            return "openai_images"
        return "echo" if self.family == "echo" else "engine"


class Route(Value):
    """Which model version answers a request, and why."""

    backend: str
    model: ModelVersion
    reason: str
    refused: tuple[str, ...] = ()

    def key(self, digest_of_what: str) -> str:
        """The key of what this route makes of a request or spec: law 1."""
        return digest([digest_of_what, self.model.weights_digest, self.backend, PIPELINE_VERSION])


def version_of(key: str) -> str:
    """An asset's version: the first digits of its key."""
    return key[:12]


class NoiseSchedule(Value):
    """The scheduler and the sigmas one request ran through."""

    scheduler: str
    sigmas_digest: Digest
    steps: int


class EngineSettings(Value):
    """How the engine ran: what the pixels may depend on besides request and weights."""

    mode: str
    row_buckets: tuple[int, ...]
    exact_rows: tuple[int, ...] = ()
    """The row counts proven to give the same bits where it was made; empty if none was needed."""
    rounding: str
    dtype: str
    device: str
    attention: str
    threads: int


class Environment(Value):
    """The machine and the libraries that made an image."""

    python: str
    platform: str
    processor: str
    libraries: dict[str, str]
    blas_mode: str = ""
    """MKL's mode of numerical reproducibility (MKL_CBWR); empty where none was set."""
    service: str = ""
    """The service whose engine made it, host and port; empty where the worker's own did."""


class Provenance(Value):
    """Where an image comes from: enough to make it again. No field has a default."""

    request: GenerationRequest
    request_id: Digest
    prompt_digest: Digest
    prompt_embedding_digest: Digest | None
    noise_schedule: NoiseSchedule | None
    model: str
    weights_digest: Digest
    backend: str
    pipeline_version: str
    engine: EngineSettings | None
    environment: Environment
    finishing: tuple[str, ...]
    attempt: Annotated[int, Field(ge=1)]
    parent: Digest | None


class GeneratedImage(Value):
    """One image as the backend made it, stored under its digest."""

    key: Digest
    request_id: Digest
    digest: Digest
    width: Pixels
    height: Pixels
    seconds: Annotated[float, Field(ge=0)]
    cost_usd: Annotated[float, Field(ge=0)]
    provenance: Provenance
    latents: Digest | None = None
    """Its last latents in a file, where another model may be asked to go on from them."""


class FinishedFile(Value):
    """A finished image at one target size: the file, and where its pixels are."""

    size: Size
    format: str
    digest: Digest
    trim: Rect
    pivot: Pivot


class Asset(Value):
    """A finished asset: one file for each target size."""

    name: Name
    version: str
    files: tuple[FinishedFile, ...]


class Placement(Value):
    """Where one sprite stands on a page; `frame` is its trimmed rectangle there."""

    name: Name
    frame: Rect
    trim: Rect
    source: Size
    pivot: Pivot


class AtlasPage(Value):
    """One atlas page and what stands on it."""

    name: str
    size: Size
    image: Digest
    metadata: Digest
    placements: tuple[Placement, ...]


class Turn(Value):
    """What one model's turn at an asset came to."""

    model: str
    after: str = ""
    """Whose pictures had been refused before; with ~ and a strength when it went on from one."""
    tried: Annotated[int, Field(ge=1)]
    passed: int
    seconds: float


class Retry(Value):
    """A further attempt at an asset: which picture it followed, what it changed, what that gave."""

    model: str
    """The resolved reference."""
    change: str
    """The parameter that differs from the parent's, and how: see `app/refine/changes.py`."""
    parent: Digest | None
    """The picture that was not good enough; None when there was none to start from."""
    after: tuple[Measure, ...]
    """The rules that the parent broke."""
    image: Digest | None
    """What came of it: the picture's digest, and its key in the catalog."""
    key: Digest | None
    passed: bool
    seconds: Annotated[float, Field(ge=0)]

    def __str__(self) -> str:
        """The attempt in one line: steps changed on 1f2e3d4c for agreement: passed."""
        on = f" on {self.parent[:12]}" if self.parent else ""
        wrong = f" for {', '.join(self.after)}" if self.after else ""
        came = "passed" if self.passed else "not passed" if self.image else "came to no image"
        return f"{self.change} changed{on}{wrong}: {came}, {self.seconds:.2f} s"


class AssetRecord(Value):
    """The catalog row of an asset: what was asked, what was made, what was said of it."""

    key: Digest
    name: Name
    version: str
    status: Status
    spec: AssetSpec
    model: str
    report: QualityReport | None
    reasons: tuple[str, ...]
    image: GeneratedImage | None
    asset: Asset | None
    provenance: Provenance | None
    attempts: int
    phash: int = 0
    run_id: str
    turns: tuple[Turn, ...] = ()
    retries: tuple[Retry, ...] = ()
    """The further attempts in their order, where they were made with a reason."""
    explained: Digest | None = None
    """The document that says why its models were asked, where the plan left that open."""
    created_at: str = ""
