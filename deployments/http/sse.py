"""A call's words as server-sent events, in the names of OpenAI's images API."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from app.api.responses import Made, completed_event, partial_event
from deployments.calls.call_service import Completed, Sketched
from deployments.problems import problem_of


async def written(
    first: Sketched | Completed | Made,
    rest: AsyncGenerator[Sketched | Completed | Made],
    *,
    explain: bool,
    created: int,
) -> AsyncGenerator[str]:
    """One event for each sketch and each image; closing it early closes `rest`."""
    async with aclosing(rest):
        try:
            for event in _events(first, explain=explain, created=created):
                yield event
            async for word in rest:
                for event in _events(word, explain=explain, created=created):
                    yield event
        except Exception as error:  # the status has been sent: the stream itself must say it
            yield _written("error", problem_of(error).as_answer().as_json())


def _events(word: Sketched | Completed | Made, *, explain: bool, created: int) -> list[str]:
    """None for a call's sum: its images have been told."""
    if isinstance(word, Made):
        return []
    if isinstance(word, Sketched):
        event = partial_event(
            word.request,
            word.choice,
            word.sketch.png,
            image=word.sketch.index,
            index=word.nth,
            created=created,
        )
    else:
        event = completed_event(
            word.painted, word.choice, image=word.image, created=created, explain=explain
        )
    return [_written(event["type"], event)]


def _written(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
