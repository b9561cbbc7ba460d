"""The comparison: a model's figures held against another's, axis by axis; pure."""

from collections.abc import Iterator, Mapping

from app.errors import InvalidRequest
from app.registry.benchmark import Axis, Bench, Entrant, Figures, Slack
from jobs.model_bench.aggregate import figures_of

CLOCK_SECONDS = 0.002
"""Below this, times say more about the machine's other programs than about a model."""


def against_each_other(found: Bench, pairs: Mapping[str, str], slack: Slack) -> Bench:
    """The benchmark with each reference held against its pair, over the lines that both can do."""
    by_reference = {one.reference: one for one in found.entrants}
    axes: list[Axis] = []
    notes: list[str] = []
    for reference, other in pairs.items():
        one = by_reference[reference]
        if reference == other:
            notes.append(f"{one.named} is {reference}, with which it would be compared")
            continue
        mine, theirs = _on_common_ground(found, one, by_reference[other])
        axes += compare(mine, theirs, slack)
    return found.replace(axes=tuple(axes), notes=tuple(notes))


def _on_common_ground(found: Bench, one: Entrant, other: Entrant) -> Iterator[Figures]:
    """How many lines each cannot do is said in full."""
    common = set(range(len(found.works))) - set(one.refused) - set(other.refused)
    for each in (one, other):
        yield figures_of(found, each, common).replace(not_applicable=len(each.refused))


def against_last(found: Bench, earlier: Mapping[str, Figures], slack: Slack) -> Bench:
    """The benchmark with each model held against the earlier row of the same name, if any."""
    axes: list[Axis] = []
    notes: list[str] = []
    for one in found.figures:
        last = earlier.get(one.named)
        if last is None:
            notes.append(f"{one.named} has no earlier result of this workload: this is the first")
            continue
        axes += compare(one, last, slack)
        if last.machine != one.machine:
            notes.append(
                f"{one.named}: times and memory are not compared, {last.bench} ran on "
                f"{last.machine}, this one on {one.machine}"
            )
    return found.replace(axes=tuple(axes), notes=tuple(notes))


def compare(found: Figures, other: Figures, slack: Slack) -> tuple[Axis, ...]:
    """Every axis on which both were measured; times and memory only on machines that are alike.

    Raises InvalidRequest for results of unlike workloads: their figures say nothing together.
    """
    if found.workload != other.workload:
        raise InvalidRequest(
            f"{found.named} was measured on the workload {found.workload[:12]}, {other.named} on "
            f"{other.workload[:12]}; measure both on one prompt file with the same samples"
        )
    against = other.named if other.bench == found.bench else f"{other.named} of {other.bench}"
    return tuple(
        Axis(
            model=found.named,
            against=against,
            asks=asks,
            found=f"{mine:.4g}",
            other=f"{theirs:.4g}",
            limit=f"{'>=' if more else '<='} {limit:.4g}",
            holds=mine >= limit if more else mine <= limit,
        )
        for asks, mine, theirs, limit, more in _rows(found, other, slack)
    )


_Row = tuple[str, float, float, float, bool]
"""What is asked, the two figures, the limit, and whether more is better."""


def _rows(found: Figures, other: Figures, slack: Slack) -> Iterator[_Row]:
    yield (
        "prompts it cannot do", found.not_applicable, other.not_applicable,
        other.not_applicable, False,
    )  # fmt: skip
    share = found.failed / max(found.images, 1), other.failed / max(other.images, 1)
    yield "share of failed images", *share, share[1], False
    shares = ("acceptance", slack.acceptance), ("agreement", slack.agreement)
    for name, less in (*shares, ("legibility", slack.legibility)):
        mine, theirs = getattr(found, name), getattr(other, name)
        if theirs is not None:  # what the other had and this one has not counts as nothing
            yield name, mine or 0.0, theirs, theirs - less, True
    if found.machine == other.machine:
        yield from _resources(found, other, slack)


def _resources(found: Figures, other: Figures, slack: Slack) -> Iterator[_Row]:
    """On a GPU the clock's seconds, on a CPU its own: other programs hardly change those."""
    timed = _seconds(found), _seconds(other)
    for name, mine, theirs in zip(("seconds alone", "seconds in a batch"), *timed, strict=True):
        if mine is not None and theirs is not None:
            limit = theirs * (1 + slack.seconds_share) + CLOCK_SECONDS
            yield name, mine, theirs, limit, False
    memory = "peak memory, MiB", found.memory_mib, other.memory_mib
    yield *memory, other.memory_mib + slack.memory_mib, False
    if found.gpu_memory_mib is not None and other.gpu_memory_mib is not None:
        limit = other.gpu_memory_mib + slack.memory_mib
        yield "peak GPU memory, MiB", found.gpu_memory_mib, other.gpu_memory_mib, limit, False


def _seconds(one: Figures) -> tuple[float | None, float | None]:
    if one.machine.device.startswith("cuda"):
        pace = one.images_per_second
        return one.median_seconds, 1 / pace if pace else None
    return one.processor_seconds, one.batch_processor_seconds
