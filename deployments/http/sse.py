"""A call's events as server-sent events, with the names of OpenAI's images API."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from app.api.responses import CallResult, completed_event, partial_event
from deployments.calls.call_service import CompletedImageEvent, PartialImageEvent
from deployments.problems import problem_of


async def event_stream(
    first: PartialImageEvent | CompletedImageEvent | CallResult,
    rest: AsyncGenerator[PartialImageEvent | CompletedImageEvent | CallResult],
    *,
    explain: bool,
    created: int,
) -> AsyncGenerator[str]:
    """Yields one event for each preview and each image; closing it early closes `rest`."""
    async with aclosing(rest):
        try:
            for event in _events(first, explain=explain, created=created):
                yield event
            async for word in rest:
                for event in _events(word, explain=explain, created=created):
                    yield event
        except Exception as error:  # the status is sent: the stream must report it
            yield _written("error", problem_of(error).as_response().as_json())


def _events(
    word: PartialImageEvent | CompletedImageEvent | CallResult, *, explain: bool, created: int
) -> list[str]:
    """Returns no event for a call's final result: its images have been sent."""
    if isinstance(word, CallResult):
        return []
    if isinstance(word, PartialImageEvent):
        event = partial_event(
            word.request,
            word.choice,
            word.partial.png,
            image=word.partial.index,
            index=word.partial_index,
            created=created,
        )
    else:
        event = completed_event(
            word.image, word.choice, image=word.index, created=created, explain=explain
        )
    return [_written(event["type"], event)]


def _written(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
