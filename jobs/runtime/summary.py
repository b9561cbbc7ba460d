"""The summary of a run: counts that must add up."""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.costs.estimate import Estimate
from app.sheets.contact_sheet import HTML_LIMIT
from app.store.costs import RunSpending
from app.types import AssetRecord, AssetSpec, Status, Value
from jobs.runtime.batches import SpriteFile


class Summary(Value):
    """The counts of a run by outcome; the last line of every run and its `--json`."""

    run_id: str
    asked: int
    reused: int
    accepted: int
    review: int
    rejected: int
    failed: int
    made: int
    """Images that this run committed, including further attempts and those of dead workers."""
    seconds: float
    images_per_hour: float
    cost_usd: float
    cut_short: int = 0
    """Assets that a budget left with fewer attempts of their own model, or none."""
    budget: str = ""
    """The budget that did it, when one cut assets short."""
    pages: tuple[str, ...]
    contact_sheet: str

    @property
    def adds_up(self) -> bool:
        """Returns whether every asset asked for has exactly one outcome (law 7)."""
        fates = self.reused + self.accepted + self.review + self.rejected + self.failed
        return self.asked == fates

    @property
    def exit_code(self) -> int:
        """Returns 3 when the numbers do not add up, 1 when something failed, else 0."""
        if not self.adds_up:
            return 3
        return 1 if self.failed else 0


class RunNotes(Summary):
    """The summary as the catalog keeps it, with what explains the pace."""

    first_image_seconds: float
    generation_seconds: float
    generation_cpu_seconds: float
    attempt_seconds: float
    """Seconds of all attempts, from the ledger; `estimate` is what was expected of them."""
    estimate: Estimate | None
    model_loads: int = 0
    """How often a worker loaded a model."""


class Outcomes:
    """The outcome of every asset of a plan, counted one by one, so that a lost asset shows.

    Kept are the sprites of what was accepted, and for the contact sheet the first records of each
    status: memory does not grow with the size of the records.
    """

    def __init__(self, asked: int) -> None:
        self.asked = asked
        self.before: Counter[Status] = Counter()
        self.now: Counter[Status] = Counter()
        self.sprites: list[SpriteFile] = []
        self._short = 0
        self._budget = ""
        self._shown: dict[Status, list[tuple[int, ShownAsset]]] = {status: [] for status in Status}

    def reuse(self, index: int, record: AssetRecord) -> None:
        """Counts what an earlier run decided."""
        self.before[record.status] += 1
        self._keep(index, ShownAsset(record.spec, record, reused=True), record.status)

    def complete(self, index: int, record: AssetRecord) -> None:
        """Counts what this run decided and published."""
        self.now[record.status] += 1
        self._keep(index, ShownAsset(record.spec, record), record.status)

    def fail(self, index: int, spec: AssetSpec, error: str) -> None:
        """Counts what could not be published."""
        self.now[Status.FAILED] += 1
        self._keep(index, ShownAsset(spec, error=error), Status.FAILED)

    def cut_short(self, reasons: Sequence[str]) -> None:
        """Counts assets that a budget ended, by the reason given for each."""
        self._short += len(reasons)
        self._budget = reasons[-1] if reasons else self._budget

    def _keep(self, index: int, shown: "ShownAsset", status: Status) -> None:
        if status is Status.ACCEPTED and shown.record and shown.record.asset:
            files = shown.record.asset.files
            self.sprites += [SpriteFile(name=shown.spec.name, file=file) for file in files]
        kept = self._shown[status]
        heapq.heappush(kept, (-index, shown))
        if len(kept) > HTML_LIMIT:
            heapq.heappop(kept)

    @property
    def counts(self) -> Counter[Status]:
        """Returns how many assets have each status, whichever run decided it."""
        return self.before + self.now

    @property
    def shown(self) -> list["ShownAsset"]:
        """Returns the assets kept for the contact sheet, in the plan's order."""
        kept = [entry for heap in self._shown.values() for entry in heap]
        return [shown for _, shown in sorted(kept, key=lambda pair: -pair[0])]

    def summary(self, run_id: str, spent: RunSpending, seconds: float) -> Summary:
        """Returns the summary; `reused` counts what was accepted before."""
        counts = self.counts
        return Summary(
            run_id=run_id,
            asked=self.asked,
            reused=self.before[Status.ACCEPTED],
            accepted=self.now[Status.ACCEPTED],
            review=counts[Status.REVIEW],
            rejected=counts[Status.REJECTED],
            failed=counts[Status.FAILED],
            made=spent.images,
            seconds=round(seconds, 3),
            images_per_hour=round(spent.images / seconds * 3600, 1),
            cost_usd=spent.cost_usd,
            cut_short=self._short,
            budget=self._budget,
            pages=(),
            contact_sheet="",
        )


@dataclass(frozen=True, slots=True)
class ShownAsset:
    """One asset for the contact sheet; without a record, the error says why."""

    spec: AssetSpec
    record: AssetRecord | None = None
    error: str = ""
    reused: bool = False
