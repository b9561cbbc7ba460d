"""The golden run: figures of a version on prompts and seeds that never change.

Deliberately damaged copies of its own images go through the same rules. If the damaged images pass,
the result means nothing, because the checks cannot tell good from bad.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean
from time import process_time

import numpy as np

from app.backends import Backend
from app.check.agreement import Critic
from app.check.duplicates import perceptual_hash
from app.check.judge import judge
from app.check.scores import score_image
from app.digest import digest, digest_bytes
from app.engine.pipeline import Pixels
from app.engine.results import FailedRequest, RenderedImage
from app.environment import environment
from app.errors import InvalidRequest
from app.fleet.prices import Price, on_gpu
from app.image.png import png_bytes
from app.plan.schema import RULES
from app.types import (
    GenerationRequest,
    Kind,
    Measure,
    ModelVersion,
    QualityReport,
    Rule,
    Size,
    Verdict,
)
from app.types.registered_version import LOOK_RESULTS, GoldenResult, Tolerance

PROMPTS = (
    "a red potion",
    "a golden key",
    "a blue gem",
    "a green shield",
    "a purple book",
    "an orange mushroom",
    "a white scroll",
    "a black bomb",
    "a pink heart",
    "a yellow star",
    "a cyan sword",
    "a golden crown",
)
"""Game icons, in words that the starter model knows."""
SAMPLES = 4
MAX_PICTURES = 12
"""Images stored with a result."""
_SIZE = Size(width=64, height=64)
_BLOCK = 8

Seen = Callable[[int], None]


@dataclass(slots=True)
class _GoldenCounts:
    """The counts of a golden run so far."""

    reports: list[QualityReport] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    damaged: list[bool] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    looks: dict[str, str] = field(default_factory=dict)
    """By the request's id."""
    failed: int = 0
    cpu_seconds: float = 0.0
    on_cpu: bool = False
    on_gpu: bool = False

    @property
    def seconds_per_image(self) -> float:
        """Returns processor time on a CPU, which other programs hardly change; else clock time."""
        if self.on_cpu:
            return self.cpu_seconds / len(self.seconds)
        return fmean(self.seconds) if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """Prompts, seeds and checks: results can be compared only when they share them."""

    rules: tuple[Rule, ...]
    critic: Critic | None
    critic_digest: str
    prompts: tuple[str, ...] = PROMPTS
    samples: int = SAMPLES

    @property
    def digest(self) -> str:
        """Returns the digest that identifies the set."""
        rules = [rule.as_json() for rule in self.rules]
        return digest([list(self.prompts), self.samples, rules, self.critic_digest])


def golden_set(
    model: ModelVersion,
    critic: Critic | None,
    critic_digest: str,
    *,
    prompts: Sequence[str] = PROMPTS,
    samples: int = SAMPLES,
) -> GoldenSet:
    """Returns the set for a model: the rules of an icon or, without transparency, of a poster.

    Raises InvalidRequest without prompts.
    """
    if not prompts:
        raise InvalidRequest("the golden set has no prompts; write one on each line of the file")
    kind = Kind.ICON if "transparent" in model.capabilities else Kind.POSTER
    unjudged = {Measure.DUPLICATE_DISTANCE} | (set() if critic else {Measure.AGREEMENT})
    rules = tuple(rule for rule in RULES[kind] if rule.check not in unjudged)
    return GoldenSet(rules, critic, critic_digest, tuple(prompts), samples)


def golden_requests(model: ModelVersion, golden: GoldenSet) -> list[GenerationRequest]:
    """Returns every prompt with seeds from 0, at the version's steps, guidance and first size."""
    size = model.sizes[0] if model.sizes else _SIZE
    return [
        GenerationRequest(
            prompt=prompt,
            width=size.width,
            height=size.height,
            num_inference_steps=model.num_inference_steps,
            guidance_scale=model.guidance_scale,
            seed=seed,
        )
        for prompt in golden.prompts
        for seed in range(golden.samples)
    ]


def run_golden_set(
    model: ModelVersion,
    backend: Backend,
    golden: GoldenSet,
    *,
    price: Price | None = None,
    tolerance: Tolerance | None = None,
    seen: Seen = lambda _: None,
) -> tuple[GoldenResult, dict[str, bytes]]:
    """Renders and checks the set; returns the result, and some images as PNG by file name.

    `seen` is called after every image. Nothing is stored. The same version, set and machine give
    the same numbers except for seconds.
    """
    began = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    requests = golden_requests(model, golden)
    tally = _GoldenCounts()
    for _ in backend.generate(requests[: int(model.hosted is None)]):
        pass  # work done once, such as measuring a new model's cost curve, is not counted
    started = process_time()
    for outcome in backend.generate(requests):
        tally.cpu_seconds += process_time() - started
        if isinstance(outcome, FailedRequest):
            tally.failed += 1
        else:
            _count(tally, outcome, golden)
        seen(1)
        started = process_time()
    accepted = sum(report.verdict is Verdict.ACCEPT for report in tally.reports)
    agreements = [report.scores.get(Measure.AGREEMENT) for report in tally.reports]
    seconds = tally.seconds_per_image
    spoken = Counter(str(finding.check) for report in tally.reports for finding in report.findings)
    result = GoldenResult(
        reference=model.reference,
        weights_digest=model.weights_digest,
        golden_set=golden.digest,
        images=len(requests),
        failed=tally.failed,
        acceptance=accepted / len(requests),
        agreement=_mean(agreements) if golden.critic else None,
        seconds_per_image=seconds,
        usd_per_image=(price or Price()).attempt_usd(seconds, gpu=tally.on_gpu),
        damaged_passes=fmean(tally.damaged) if tally.damaged else 0.0,
        complaints=dict(spoken),
        looks=tuple(tally.looks.get(request.id, "") for request in requests[:LOOK_RESULTS]),
        processor=environment().processor,
        measured_at=began,
        tolerance=tolerance or Tolerance(),
    )
    return result, tally.pictures


def _count(tally: _GoldenCounts, outcome: RenderedImage, golden: GoldenSet) -> None:
    request, pixels = outcome.request, outcome.pixels
    tally.reports.append(_report(pixels, request, request.prompt, golden))
    tally.looks[request.id] = f"{digest_bytes(pixels.tobytes())[:8]}.{perceptual_hash(pixels):016x}"
    tally.seconds.append(outcome.seconds)
    tally.on_cpu = outcome.engine is not None and outcome.engine.device == "cpu"
    tally.on_gpu = on_gpu(outcome.engine)
    for damaged, prompt in _damaged(pixels, request, golden):
        verdict = _report(damaged, request, prompt, golden).verdict
        tally.damaged.append(verdict is Verdict.ACCEPT)
    if request.seed == 0 and len(tally.pictures) < MAX_PICTURES:
        name = f"{golden.prompts.index(request.prompt):02d}.png"
        tally.pictures[name] = png_bytes(pixels, text={})


def _report(
    pixels: Pixels, request: GenerationRequest, prompt: str, golden: GoldenSet
) -> QualityReport:
    return judge(score_image(pixels, request, golden.critic, prompt=prompt), golden.rules)


def _damaged(
    pixels: Pixels, request: GenerationRequest, golden: GoldenSet
) -> Iterator[tuple[Pixels, str]]:
    """Yields the image blank, with erased blocks, as noise, and unchanged under another prompt."""
    rng = np.random.default_rng(request.seed)
    yield np.zeros_like(pixels), request.prompt
    yield _with_erased_blocks(pixels, rng), request.prompt
    yield rng.integers(0, 256, pixels.shape, dtype=np.uint8), request.prompt
    if golden.critic is not None and len(golden.prompts) > 1:
        following = golden.prompts.index(request.prompt) + 1
        yield pixels, golden.prompts[following % len(golden.prompts)]


def _with_erased_blocks(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Returns the image with about three of five blocks erased."""
    height, width = (-(-side // _BLOCK) for side in pixels.shape[:2])
    gone = np.kron(rng.random((height, width)) < 0.6, np.ones((_BLOCK, _BLOCK), bool))
    torn = pixels.copy()
    torn[gone[: pixels.shape[0], : pixels.shape[1]]] = 0
    return torn


def _mean(numbers: Sequence[float | None]) -> float:
    known = [number for number in numbers if number is not None]
    return fmean(known) if known else 0.0
