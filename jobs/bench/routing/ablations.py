"""Ablations: what splitting the work between models is worth, measured before and after.

They have the form of figures that others published (draft and upscale, typography to its own model,
polish for the winners alone); these are our own models' figures, on one core.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from app.backends import Backend
from app.check.scores import score_image
from app.check.text_readback import read_back
from app.cli.output import Say
from app.engine.pipeline import Pixels
from app.engine.results import RenderedImage
from app.errors import EngineError
from app.generate.renderer import load_engine
from app.models.bundled import bundled_models
from app.registry.references import with_fonts
from app.settings import Settings
from app.types import GenerationRequest, Measure, Value
from app.types.text_layer import TextLayer
from jobs.bench.routing.workload import WORDS

SIDE = 256
DRAFT_STEPS = 4
DRAFTS = 8
"""Drafts of each hero, of which one is polished."""
PROMPTS = ("a red sword", "a blue potion", "a golden crown", "a green shield")


class Ablation(Value):
    """The same work done in two ways."""

    what: str
    unit: str
    before: float
    after: float
    published: str
    """The figure that others published for work of this kind."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Returns before over after; None where one of them is 0."""
        return self.before / self.after if self.before and self.after else None


@dataclass(slots=True)
class _AblationBench:
    engines: dict[str, Backend]
    store: dict[str, Pixels]
    prompts: Sequence[str]

    def made(self, model: str, requests: Sequence[GenerationRequest]) -> list[RenderedImage]:
        """Returns images in the requests' order; raises EngineError when one failed."""
        outcomes = {}
        for outcome in self.engines[model].generate(requests):
            if not isinstance(outcome, RenderedImage):
                raise EngineError(f"{model} failed at {outcome.request.prompt!r}: {outcome.error}")
            outcomes[outcome.request.id] = outcome
        return [outcomes[request.id] for request in requests]


def run_ablations(folder: Path, heroes: int, say: Say) -> tuple[Ablation, ...]:
    """Runs each in turn; CPU time of this process, after a warm-up image of each model."""
    store: dict[str, Pixels] = {}
    settings = Settings(home=folder / "home")
    shipped = bundled_models()
    bench = _AblationBench(
        {
            name: load_engine(
                shipped[name], settings, mode=settings.engine_mode, images=store.__getitem__
            )
            for name in ("starter", "polish", "typography")
        },
        store,
        PROMPTS[:heroes],
    )
    rows = []
    for contrast in (_latency, _typography, _best_of_candidates):
        rows.append(contrast(bench))
        say(f"{rows[-1].what}: {rows[-1].before:.4g} -> {rows[-1].after:.4g} {rows[-1].unit}")
    return tuple(rows)


def _latency(bench: _AblationBench) -> Ablation:
    """Compares a 256 px image by polish's own steps with a quick draft, enlarged."""
    usual = bundled_models()["polish"]
    steps, guidance = usual.num_inference_steps, usual.guidance_scale
    slow = [_request(p, SIDE, steps=steps, guidance=guidance) for p in bench.prompts]
    quick = [_request(p, SIDE, steps=DRAFT_STEPS, guidance=1) for p in bench.prompts]
    bench.made("polish", [*slow[:1], *quick[:1]])
    before = _seconds(lambda: [bench.made("polish", [request]) for request in slow]) / len(slow)
    after = _seconds(lambda: [bench.made("polish", [request]) for request in quick]) / len(quick)
    return Ablation(
        what=f"a {SIDE} px picture: polish's {steps} steps, or a draft of {DRAFT_STEPS} enlarged",
        unit="CPU s",
        before=before,
        after=after,
        published="average latency 12.3 s -> 4.1 s (3.0x)",
        note="both end in the same upscaler",
    )


def _typography(bench: _AblationBench) -> Ablation:
    """Compares first images whose word is read back: rendered by the model, or set as text."""
    plain, routed = [], []
    for seed, word in enumerate(WORDS):
        layers = with_fonts((TextLayer(text=word, plate="auto"),), Settings())
        painted = _request(f"{word.lower()} icon", 64, seed=seed)
        placed = _request("a red gem", SIDE, seed=seed).replace(text_layers=layers)
        plain.append(
            _reads(bench.made("polish", [painted.replace(width=SIDE, height=SIDE)])[0], layers)
        )
        routed.append(_reads(bench.made("typography", [placed])[0], layers))
    return Ablation(
        what="posters whose first picture bears its word exactly: painted, or laid out and set",
        unit="of 1",
        before=sum(plain) / len(plain),
        after=sum(routed) / len(routed),
        published="first-accept rate 28 % -> 61 % (2.2x)",
        note="the starter was never taught letters",
    )


def _best_of_candidates(bench: _AblationBench) -> Ablation:
    """Compares CPU seconds per hero: all candidates polished, or only the best draft."""
    usual = bundled_models()["polish"]
    steps, guidance = usual.num_inference_steps, usual.guidance_scale
    heroes = [
        _request(prompt, SIDE, seed=seed, steps=steps, guidance=guidance)
        for prompt in bench.prompts
        for seed in range(DRAFTS)
    ]
    before = _seconds(lambda: bench.made("polish", heroes))

    def split() -> None:
        drafts = [_request(p, 64, seed=seed, steps=DRAFT_STEPS, guidance=1) for p in bench.prompts
                  for seed in range(DRAFTS)]  # fmt: skip
        made = bench.made("starter", drafts)
        shown = [made[at : at + DRAFTS] for at in range(0, len(made), DRAFTS)]
        bench.made("polish", [_polished(bench, max(some, key=_sharpness)) for some in shown])

    after = _seconds(split)
    return Ablation(
        what=f"a hero out of {DRAFTS} candidates: all polished, or the winner alone",
        unit="CPU s",
        before=before / len(bench.prompts),
        after=after / len(bench.prompts),
        published="cost per hero asset $0.90 -> $0.52 (-42 %)",
        note=f"1 of {DRAFTS} pictures went to the costly model",
    )


def _polished(bench: _AblationBench, draft: RenderedImage) -> GenerationRequest:
    """Returns the request that continues a draft: half of polish's steps, from its image."""
    usual = bundled_models()["polish"]
    bench.store[draft.request.id] = draft.pixels
    return draft.request.replace(
        width=SIDE, height=SIDE, num_inference_steps=usual.num_inference_steps,
        guidance_scale=usual.guidance_scale, init_image=draft.request.id, strength=0.5,
    )  # fmt: skip


def _request(
    prompt: str, side: int, *, seed: int = 0, steps: int = 12, guidance: float = 2
) -> GenerationRequest:
    return GenerationRequest(
        prompt=prompt,
        width=side,
        height=side,
        num_inference_steps=steps,
        guidance_scale=guidance,
        seed=seed,
    )


def _reads(picture: RenderedImage, layers: Sequence[TextLayer]) -> bool:
    return all(reading.error_rate == 0 for reading in read_back(picture.pixels, layers))


def _sharpness(picture: RenderedImage) -> float:
    scores = score_image(picture.pixels, picture.request, None, prompt=picture.request.prompt)
    return scores[Measure.SHARPNESS]


def _seconds(work: Callable[[], object]) -> float:
    began = process_time()
    work()
    return process_time() - began
