"""The check worker: scores images while no worker renders."""

import io
from collections.abc import Sequence

from PIL import Image

from app.check.agreement import Critic
from app.check.integrity import decode_or_none
from app.check.judge import judge, reasons
from app.check.scores import score_image
from app.types import GenerationRequest, Measure, Rule, Value, Verdict
from jobs.model_bench.render_worker import RenderTime, TimedImage
from jobs.model_bench.workload import critic_folder

THUMBNAIL = 320
"""Pixels of the longer side of an image in the report; smaller ones are kept as they are."""


class CheckedImage(Value):
    """The verdict on one image, and its thumbnail for the report."""

    took: RenderTime
    verdict: Verdict | None
    reasons: tuple[str, ...]
    complaints: tuple[Measure, ...] = ()
    agreement: float | None = None
    legibility: float | None = None
    thumbnail: bytes = b""


class CheckWorker:
    """Keeps the critic and the text reader loaded."""

    def __init__(self) -> None:
        self._critic = Critic.load(critic_folder())

    def check(
        self, image: TimedImage, request: GenerationRequest, rules: Sequence[Rule], *, show: bool
    ) -> CheckedImage:
        """Returns the verdict by these rules; an image that failed has no verdict."""
        if image.error:
            return CheckedImage(took=image.took, verdict=None, reasons=(image.error,))
        judges = any(rule.check is Measure.AGREEMENT for rule in rules)
        scores = score_image(
            decode_or_none(image.png),
            request,
            self._critic if judges else None,
            prompt=request.prompt,
        )
        report = judge(scores, rules)
        error = report.scores.get(Measure.TEXT_ERROR)
        return CheckedImage(
            took=image.took,
            verdict=report.verdict,
            reasons=reasons(report),
            complaints=tuple(finding.check for finding in report.findings),
            agreement=report.scores.get(Measure.AGREEMENT),
            legibility=None if error is None else max(0.0, 1 - error),
            thumbnail=thumbnail(image.png) if show else b"",
        )


def thumbnail(png: bytes) -> bytes:
    """Returns the PNG scaled to fit THUMBNAIL pixels; Pillow resamples RGBA premultiplied."""
    with Image.open(io.BytesIO(png)) as picture:
        if max(picture.size) <= THUMBNAIL:
            return png
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=None)
        file = io.BytesIO()
        picture.save(file, "PNG", optimize=True)
        return file.getvalue()
