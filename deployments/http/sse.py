"""A call's events as a stream of server-sent events, with the names of OpenAI's images API."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import time
from typing import Any

from starlette.responses import StreamingResponse

from app.api.responses import CallResult, completed_event, partial_event
from deployments.calls.call_renderer import CallEvent, PartialImageEvent
from deployments.problems import problem_of


async def stream_response(events: AsyncGenerator[CallEvent], *, explain: bool) -> StreamingResponse:
    """Returns the response that streams an event for each preview and each image.

    Waits for the first event and raises its error, so that a refused call still gets its status.
    """
    try:
        first = await anext(events)
    except BaseException:
        await events.aclose()
        raise
    text = _text(first, events, explain=explain, created=int(time()))
    return StreamingResponse(text, media_type="text/event-stream")


async def _text(
    first: CallEvent, rest: AsyncGenerator[CallEvent], *, explain: bool, created: int
) -> AsyncGenerator[str]:
    """Yields the text of each event; closing it early closes `rest`."""
    async with aclosing(rest):
        try:
            yield _event_text(first, explain=explain, created=created)
            async for event in rest:
                if text := _event_text(event, explain=explain, created=created):
                    yield text
        except Exception as error:  # the status is sent already
            yield _format("error", problem_of(error).as_response().as_json())


def _event_text(event: CallEvent, *, explain: bool, created: int) -> str:
    """Returns nothing for a call's result: its images were sent before."""
    if isinstance(event, CallResult):
        return ""
    if isinstance(event, PartialImageEvent):
        data = partial_event(
            event.request,
            event.choice,
            event.partial.png,
            image=event.partial.index,
            index=event.partial_index,
            created=created,
        )
    else:
        data = completed_event(
            event.image, event.choice, image=event.index, created=created, explain=explain
        )
    return _format(data["type"], data)


def _format(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
