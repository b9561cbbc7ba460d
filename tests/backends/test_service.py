"""A service of ours as a backend: what is refused before any work, what is asked again, what not
believed. That the bytes are a worker's own is shown over the real service."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.backends.service import (
    MAX_SHED_TRIES,
    BulkRetryPolicy,
    ServiceBackend,
    require_service_models,
)
from app.digest import digest
from app.engine.results import FailedRequest, RenderedImage
from app.errors import (
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    InvalidRequest,
    RateLimited,
)
from app.generate.provenance import provenance_of
from app.types import EngineSettings, GenerationRequest, ModelVersion, Route, Size, Tags
from tests.backends.provider import SIDE, Provider, Reply, asked

MODEL = ModelVersion(
    name="tiny", version="1", family="sd3", weights_digest=digest("tiny"), licence="none",
    sizes=(Size(width=SIDE, height=SIDE),), num_inference_steps=4, guidance_scale=4.0,
    max_sequence_length=8,
)  # fmt: skip
ROUTE = Route(backend="engine", model=MODEL, reason="the test names it")
ENGINE = EngineSettings(
    mode="exact", row_buckets=(4,), exact_rows=(4, 8, 16), rounding="fp32", dtype="float32",
    device="cpu", attention="native", threads=1,
)  # fmt: skip
QUICK = BulkRetryPolicy(backoff_seconds=0.001)


def replying_with(request: GenerationRequest, **changes: Any) -> Callable[[bytes], Reply]:
    """The good answer with the provenance of an image that this service made."""
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    rendered = RenderedImage(request, pixels, seconds=0.5, engine=ENGINE)
    made = provenance_of(rendered, ROUTE, attempt=1).replace(**changes)

    def answer(good: bytes) -> Reply:
        document = json.loads(good)
        document["data"][0] |= {"provenance": made.model_dump_json(), "seconds": 0.5}
        return Reply(body=json.dumps(document).encode())

    return answer


def backend(hosting: Provider, mode: str = "reproducible") -> ServiceBackend:
    url = hosting.url.removesuffix("/v1")
    return ServiceBackend(ROUTE, url, None, mode=mode, timeout_seconds=60, patience=QUICK)


def test_an_image_comes_with_where_it_was_made(hosting: Provider) -> None:
    request = asked(tags=Tags(team="art"))
    hosting.always = replying_with(request)
    (made,) = backend(hosting).generate([request])
    assert isinstance(made, RenderedImage)
    assert (made.seconds, made.engine) == (0.5, ENGINE)
    assert made.environment is not None
    assert made.environment.service == hosting.host
    (call,) = hosting.calls
    assert call.headers["x-atelier-class"] == "bulk"
    assert "idempotency-key" not in call.headers
    assert (call.body["model"], call.body["user"]) == ("tiny/1", "art")


@pytest.mark.parametrize(
    ("changes", "mode", "why"),
    [
        ({"weights_digest": digest("other")}, "exact", "by weights"),
        ({"request_id": digest("other")}, "exact", "fonts may differ there"),
        ({"engine": ENGINE.replace(mode="fast")}, "exact", "by mode fast, not exact"),
        ({"engine": ENGINE.replace(exact_rows=())}, "reproducible", "by mode exact"),
        ({"engine": ENGINE.replace(row_buckets=(2, 4))}, "exact", "at 2/4 rows"),
        ({"engine": None}, "fast", "by mode unknown"),
    ],
)
def test_what_this_runs_own_worker_would_not_have_made_is_refused(
    hosting: Provider, changes: dict[str, Any], mode: str, why: str
) -> None:
    hosting.always = replying_with(asked(), **changes)
    (failed,) = backend(hosting, mode).generate([asked()])
    assert isinstance(failed, FailedRequest)
    assert isinstance(failed.error, BackendRejected)
    assert why in str(failed.error)
    assert len(hosting.calls) == 1


def test_an_answer_without_provenance_is_none_of_ours(hosting: Provider) -> None:
    (failed,) = backend(hosting).generate([asked()])
    assert isinstance(failed, FailedRequest)
    assert "has no provenance" in str(failed.error)


def test_what_starts_from_a_picture_is_not_sent(hosting: Provider) -> None:
    (failed,) = backend(hosting).generate([asked(init_image=digest("picture"), strength=0.5)])
    assert isinstance(failed, FailedRequest)
    assert "unset ATELIER_SERVICE" in str(failed.error)
    assert hosting.calls == []


def test_what_is_shed_comes_again_however_often_and_a_break_down_four_times(
    hosting: Provider,
) -> None:
    shed = Reply(503, b'{"error": {"code": "no_capacity"}}', {"Retry-After": "0"})
    broken = Reply(500, b"{}")
    hosting.faults = [lambda _: shed] * 9 + [lambda _: broken] * 3
    hosting.always = replying_with(asked())
    (made,) = backend(hosting).generate([asked()])
    assert isinstance(made, RenderedImage)
    hosting.faults = [lambda _: broken] * 4
    (failed,) = backend(hosting).generate([asked()])
    assert isinstance(failed, FailedRequest)
    assert isinstance(failed.error, BackendUnavailable)


def test_the_patience_of_bulk_ends_before_a_worker_counts_as_stuck() -> None:
    shed = [RateLimited("full", backend="x", retry_after=1.0)] * MAX_SHED_TRIES
    patience = BulkRetryPolicy()
    assert patience.wait_seconds(list(shed[:-1])) == 1.0
    assert patience.wait_seconds(list(shed)) is None
    assert patience.wait_seconds([RateLimited("later", backend="x", retry_after=999.0)]) is None
    hung = BackendTimeout("slow", backend="x", retryable=True)
    assert patience.wait_seconds([*shed[:5], hung]) is None


def test_nothing_begins_where_the_service_is_not_there_or_another() -> None:
    for url, message in (
        ("http://127.0.0.1:1", "does not answer"),
        ("file:///etc/passwd", "not a URL"),
        ("http://user:secret@127.0.0.1:1", "not a URL"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            require_service_models(url, None, [MODEL])
    with pytest.raises(InvalidRequest, match="unencrypted"):
        ServiceBackend(ROUTE, "http://example.com", None, mode="exact", timeout_seconds=1)
