"""Reads labels from the catalog, or from a file, as input for a calibration."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from app.accept.calibration import LabelledImage
from app.accept.gate import passes_rules, style_of
from app.accept.labels import latest_labels, list_labels, random_prefix
from app.accept.risk_model import own_scores
from app.digest import digest
from app.errors import InvalidRequest
from app.store.catalog import Catalog
from app.store.run_statistics import latest_verdicts
from app.types import AssetRecord, Measure, Value


class LabelLine(Value):
    """A line of a file of labels: an image's scores and a person's label."""

    scores: dict[Measure, float]
    label: Literal["good", "bad"]
    key: str = ""
    """The identity of the image; a key that appears twice is refused."""
    model: str = ""
    style: str = ""
    passed: bool = True
    """Whether the rules accept the image."""


def catalog_labels(catalog: Catalog) -> list[LabelledImage]:
    """Returns the catalog's labelled images; the newest label of an asset counts.

    Within each run, the images labelled without a gap in the order of `sampling_key` count as a
    uniform random sample (`fair`).
    """
    latest = latest_labels(list_labels(catalog))
    records = latest_verdicts(catalog)
    sample = random_sample_keys(records, latest.keys())
    labelled = []
    for record in records:
        words = latest.get(record.key)
        if words is None or record.report is None:
            continue
        newest = max(words.values(), key=lambda label: (label.labelled_at, label.reviewer))
        labelled.append(
            LabelledImage(
                key=record.key,
                scores=own_scores(record.report.scores),
                good=newest.good,
                model=record.model,
                style=style_of(record.spec.labels),
                passed=passes_rules(record.report),
                fair=record.key in sample,
            )
        )
    return labelled


def random_sample_keys(records: Iterable[AssetRecord], labelled: Iterable[str]) -> frozenset[str]:
    """Returns the keys of labelled images that are a uniform random sample.

    The sample is drawn within each run, from the images that the rules accept.
    """
    runs: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.report is not None and passes_rules(record.report):
            runs[record.run_id].append(record.key)
    known = frozenset(labelled)
    return frozenset(key for keys in runs.values() for key in random_prefix(keys, known))


def file_labels(path: Path) -> list[LabelledImage]:
    """Reads the labelled images of a JSONL file, which counts as a uniform random sample.

    Raises InvalidRequest with the line that is not a `LabelLine` or repeats a key.
    """
    try:
        texts = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}; give a JSONL file") from error
    labelled = [_labelled(path, at, text) for at, text in enumerate(texts, 1) if text.strip()]
    _require_distinct(path, labelled)
    return labelled


def _labelled(path: Path, at: int, text: str) -> LabelledImage:
    try:
        line = LabelLine.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InvalidRequest(
            f"{path}, line {at}: {field or 'the line'}: {first['msg']}; write "
            '{"scores": {"sharpness": 0.7}, "label": "good"}'
        ) from error
    return LabelledImage(
        key=line.key or digest([at, line.as_json()]),
        scores=own_scores(line.scores),
        good=line.label == "good",
        model=line.model,
        style=line.style,
        passed=line.passed,
    )


def _require_distinct(path: Path, labelled: Sequence[LabelledImage]) -> None:
    seen: set[str] = set()
    for label in labelled:
        if label.key in seen:
            raise InvalidRequest(f"{path} has the key {label.key!r} twice; keep one of the lines")
        seen.add(label.key)
