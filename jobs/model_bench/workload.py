"""The workload: a prompt file, the requests it gives for each model, and the rules."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from app.check.agreement import Critic
from app.digest import digest, digest_folder
from app.errors import InvalidRequest
from app.models.bundled import FOLDERS, critic_folder_of, read_version
from app.plan.schema import RULES, TEXT_RULES
from app.plan.templates import unknown_words
from app.registry.benchmark import WorkItem
from app.registry.references import with_fonts
from app.settings import Settings
from app.types import GenerationRequest, Kind, Measure, ModelVersion, Rule, Size
from app.types.text_layer import TextLayer

REPRESENTATIVE = Path(__file__).parent.parent / "prompts" / "representative.txt"
"""The prompts used unless a file is given."""
_SIZE, _TEXT_SIZE = Size(width=64, height=64), Size(width=256, height=256)
"""For models that were trained at no particular size."""
_CUT_OUT = frozenset({Kind.ICON, Kind.SPRITE, Kind.PRODUCT})
"""Kinds that need a transparent background."""
_MOST_LABELS, _LONGEST_LABEL = 16, 40
"""Every label is a figure of its own wherever results are kept."""
_INK = {"colour": "#1b1f24", "outline": "auto", "plate": "auto"}


def read_works(path: Path) -> tuple[WorkItem, ...]:
    """Reads a prompt per line; a line that begins with `{` is JSON with more fields; `#` is a
    comment.

    Raises InvalidRequest with the line that is faulty.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"{path} cannot be read as a prompt file: {exc}") from exc
    written = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    rows = [(number, line) for number, line in written if line and not line.startswith("#")]
    if not rows:
        raise InvalidRequest(f"{path} holds no prompt; write one on each line")
    works = tuple(_work(line, f"{path}:{number}") for number, line in rows)
    labels = {label for work in works for label in work.labels}
    if len(labels) > _MOST_LABELS or any(len(label) > _LONGEST_LABEL for label in labels):
        raise InvalidRequest(
            f"{path} has {len(labels)} labels; write {_MOST_LABELS} different ones at most, none "
            f"longer than {_LONGEST_LABEL} letters"
        )
    return works


def _work(line: str, where: str) -> WorkItem:
    try:
        fields = json.loads(line) if line.startswith("{") else {"prompt": line}
        return WorkItem.model_validate(fields | _size(fields))
    except (ValidationError, ValueError) as exc:
        if isinstance(exc, ValidationError):
            first = exc.errors(include_url=False)[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        else:
            reason = str(exc)
        raise InvalidRequest(
            f"{where}: {reason}; write a prompt, or JSON such as "
            '{"prompt": "a red potion", "text": "Haste", "size": "256x256", "labels": ["hero"]}, '
            f"which knows {', '.join(WorkItem.model_fields)}"
        ) from exc


def _size(fields: dict[str, object]) -> dict[str, object]:
    if not isinstance(fields.get("size"), str):
        return {}
    width, _, height = str(fields["size"]).partition("x")
    return {"size": {"width": width, "height": height or width}}


@dataclass(frozen=True, slots=True)
class WorkloadRequest:
    """One image to make: its line, the request, and the rules that it must pass."""

    work: int
    request: GenerationRequest
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Workload:
    """Lines and seeds; the same critic, the starter's, judges every model."""

    works: tuple[WorkItem, ...]
    samples: int

    @cached_property
    def digest(self) -> str:
        """Returns the digest of everything that results must share to be compared."""
        rules = [rule.as_json() for rules in (*RULES.values(), TEXT_RULES) for rule in rules]
        works = [work.as_json() for work in self.works]
        return digest([works, self.samples, rules, digest_folder(critic_folder())])

    @cached_property
    def _critic(self) -> Critic:
        return Critic.load(critic_folder())

    def refusals(self, model: ModelVersion) -> dict[int, str]:
        """Returns the lines that a model cannot do, each with the reason."""
        reasons = {index: _reason(work, model) for index, work in enumerate(self.works)}
        return {index: reason for index, reason in reasons.items() if reason}

    def requests(self, model: ModelVersion, settings: Settings) -> list[WorkloadRequest]:
        """Returns every line that the model can do with the seeds from 0, seed by seed.

        Steps and guidance are the model's own. Raises InvalidRequest when a font is missing.
        """
        refused = self.refusals(model)
        return [
            WorkloadRequest(index, _request(work, model, settings, seed), self._rules(work, model))
            for seed in range(self.samples)
            for index, work in enumerate(self.works)
            if index not in refused
        ]

    def _rules(self, work: WorkItem, model: ModelVersion) -> tuple[Rule, ...]:
        """Returns the kind's rules that apply to a single image and that the critic can judge."""
        if work.text:
            return TEXT_RULES
        kind = work.kind or (Kind.ICON if "transparent" in model.capabilities else Kind.POSTER)
        unjudged = {Measure.DUPLICATE_DISTANCE}
        if self._critic.unknown_words(work.prompt):
            unjudged.add(Measure.AGREEMENT)
        return tuple(rule for rule in RULES[kind] if rule.check not in unjudged)


def critic_folder() -> Path:
    """Returns the folder of the critic that judges every model's images."""
    folder = critic_folder_of(read_version(FOLDERS["starter"]))
    assert folder is not None
    return folder


def _reason(work: WorkItem, model: ModelVersion) -> str:
    unknown = unknown_words(work.prompt, model.vocabulary)
    if unknown:
        return f"was never taught {', '.join(unknown)}"
    if work.text and "text" not in model.capabilities:
        return "sets no text"
    if work.size and model.sizes and work.size not in model.sizes:
        return f"paints at {', '.join(map(str, model.sizes))}, not at {work.size}"
    if work.kind in _CUT_OUT and "transparent" not in model.capabilities:
        return f"paints no transparency, which a {work.kind} needs"
    return ""


def _request(
    work: WorkItem, model: ModelVersion, settings: Settings, seed: int
) -> GenerationRequest:
    own = model.sizes[0] if model.sizes else (_TEXT_SIZE if work.text else _SIZE)
    size = work.size or own
    layers = (TextLayer(text=work.text, **_INK),) if work.text else ()
    return GenerationRequest(
        prompt=work.prompt,
        width=size.width,
        height=size.height,
        num_inference_steps=model.num_inference_steps,
        guidance_scale=model.guidance_scale,
        seed=seed,
        text_layers=with_fonts(layers, settings),
    )
