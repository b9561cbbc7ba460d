"""A hosted model asked over loopback HTTP: good answers, every bad one, and what is never sent."""

import json
import logging
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Barrier

import numpy as np
import pytest
from pydantic import SecretStr

from app.backends.retry import retry_after
from app.engine.results import FailedRequest, RenderedImage
from app.errors import (
    BackendError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    RateLimited,
)
from app.generate.provenance import provenance_of
from app.image.png import read_any_png
from app.settings import Settings
from app.types import Tags
from tests.backends.provider import (
    KEY,
    SIDE,
    Fault,
    Provider,
    Reply,
    answer_of,
    asked,
    backend_of,
    model_at,
    png_of,
    route_to,
)

BLACK = bytes(4)


def outcome_of(hosting: Provider, **options: object) -> RenderedImage | FailedRequest:
    (outcome,) = backend_of(model_at(hosting.url), **options).generate([asked()])
    return outcome


def test_a_good_answer_is_opaque_rgba_of_the_size_that_was_asked_for(hosting: Provider) -> None:
    outcome = outcome_of(hosting)
    assert isinstance(outcome, RenderedImage)
    (call,) = hosting.calls
    painted = json.loads(hosting.painted[call.key])["data"][0]["b64_json"]
    assert np.array_equal(outcome.pixels, read_any_png(b64decode(painted)))
    assert outcome.pixels.shape == (SIDE, SIDE, 4)
    assert (outcome.pixels[:, :, 3] == 255).all()
    assert outcome.seconds > 0


def test_transparency_is_kept(hosting: Provider) -> None:
    hosting.always = lambda _: Reply(body=answer_of(png_of(SIDE, SIDE, BLACK, "RGBA")))
    outcome = outcome_of(hosting)
    assert isinstance(outcome, RenderedImage)
    assert outcome.pixels[0, 0].tolist() == [0, 0, 0, 0]


def test_a_call_says_what_the_version_takes_and_no_more(hosting: Provider) -> None:
    options = [("quality", "high"), ("moderation", "low")]
    plain = model_at(hosting.url, options=options)
    able = model_at(
        hosting.url, "seeded", "steps", "negative-prompt", "transparent", steps=8, guidance_scale=3
    )
    request = asked(7, negative_prompt="fog", num_inference_steps=8, guidance_scale=3)
    list(backend_of(plain).generate([asked(7)]))
    list(backend_of(able).generate([request]))
    first, second = hosting.calls
    common = {"model": "painter-1", "prompt": "a red potion", "n": 1, "size": "16x16"}
    assert first.path == "/v1/images/generations"
    assert first.body == common | {"quality": "high", "moderation": "low"}
    assert second.body == common | {
        "seed": 7, "steps": 8, "guidance": 3, "sampler": "euler", "negative_prompt": "fog",
        "background": "transparent",
    }  # fmt: skip
    assert first.key == route_to(plain).key(asked(7).id)


def test_provenance_is_as_complete_as_that_of_a_local_image(hosting: Provider) -> None:
    model = model_at(hosting.url, "seeded")
    (outcome,) = backend_of(model).generate([asked(3)])
    assert isinstance(outcome, RenderedImage)
    made = provenance_of(outcome, route_to(model), attempt=1)
    assert (made.backend, made.model) == ("openai_images", "painter/0")
    assert (made.weights_digest, made.engine) == (model.weights_digest, None)
    assert made.request == asked(3)


def json_of(**fields: object) -> bytes:
    return json.dumps(fields).encode()


TORN = png_of(SIDE, SIDE, BLACK)[:-20]
REJECTED = BackendRejected
FAULTS: dict[str, tuple[Fault, type[BackendError], bool, int]] = {
    "a truncated picture": (lambda _: Reply(body=answer_of(TORN)), REJECTED, True, 2),
    "another size": (
        lambda _: Reply(body=answer_of(png_of(SIDE, 8, BLACK))), REJECTED, True, 2),
    "a larger size": (
        lambda _: Reply(body=answer_of(png_of(99, SIDE, BLACK))), REJECTED, True, 2),
    "a jpeg": (lambda _: Reply(body=answer_of(b"\xff\xd8\xff\xe0" * 20)), REJECTED, True, 2),
    "no base64": (lambda _: Reply(body=json_of(data=[{"b64_json": "%%"}])), REJECTED, True, 2),
    "two pictures": (
        lambda _: Reply(body=answer_of(*[png_of(SIDE, SIDE, BLACK)] * 2)), REJECTED, True, 2),
    "no picture": (lambda _: Reply(body=json_of(data=[])), REJECTED, True, 2),
    "no json": (lambda _: Reply(body=b"<html>busy</html>"), REJECTED, True, 2),
    "json of something else": (lambda _: Reply(body=b"[1, 2]"), REJECTED, True, 2),
    "json without an end of lists": (lambda _: Reply(body=b"[" * 100_000), REJECTED, True, 2),
    "a huge body": (lambda _: Reply(body=b" " * (2**21)), REJECTED, True, 2),
    "a packed body": (
        lambda it: Reply(body=it, headers={"Content-Encoding": "gzip"}), REJECTED, False, 1),
    "an address instead": (
        lambda _: Reply(body=json_of(data=[{"url": "http://127.0.0.1:9/a.png"}])),
        REJECTED, False, 1),
    "a redirect": (
        lambda _: Reply(status=307, headers={"Location": "/v1/elsewhere"}), REJECTED, False, 1),
    "a wrong key": (lambda _: Reply(status=401), REJECTED, False, 1),
    "a refused prompt": (
        lambda _: Reply(status=400, body=json_of(error={"code": "moderation_blocked"})),
        REJECTED, False, 1),
    "a breakdown": (lambda _: Reply(status=500), BackendUnavailable, True, 4),
    "a lost answer": (lambda _: Reply(lost=True), BackendUnavailable, True, 4),
    "an answer cut off": (lambda it: Reply(body=it, cut=30), BackendUnavailable, True, 4),
    "too many calls": (lambda _: Reply(status=429), RateLimited, True, 4),
    "too many for an hour": (
        lambda _: Reply(status=429, headers={"Retry-After": "3600"}), RateLimited, True, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_without_end_is_an_error_of_its_kind_after_few_calls(
    name: str, hosting: Provider
) -> None:
    hosting.always, kind, retryable, calls = FAULTS[name]
    outcome = outcome_of(hosting)
    assert isinstance(outcome, FailedRequest)
    assert type(outcome.error) is kind
    assert (outcome.error.backend, outcome.error.request_id) == (hosting.host, asked().id)
    assert outcome.error.retryable is retryable
    assert hosting.host in str(outcome.error)
    assert len(hosting.calls) == calls
    assert len(hosting.painted) == 1


@pytest.mark.parametrize("name", [name for name in FAULTS if FAULTS[name][3] > 1])
def test_a_fault_that_passes_costs_no_second_picture(name: str, hosting: Provider) -> None:
    hosting.faults = [FAULTS[name][0]]
    assert isinstance(outcome_of(hosting), RenderedImage)
    assert len(hosting.calls) == 2
    assert len({call.key for call in hosting.calls}) == len(hosting.painted) == 1


@pytest.mark.parametrize("fault", [Reply(waits=True), Reply(drips=True, body=b" ",
                                   headers={"Content-Length": "99999"})])  # fmt: skip
def test_a_server_that_hangs_or_drips_frees_the_worker_at_the_deadline(
    fault: Reply, hosting: Provider
) -> None:
    hosting.always = lambda _: fault
    outcome = outcome_of(hosting, timeout_seconds=0.3)
    assert isinstance(outcome, FailedRequest)
    assert type(outcome.error) is BackendTimeout
    assert "0.3 s" in str(outcome.error)
    assert len(hosting.calls) == 1


def test_a_hanging_call_holds_up_none_of_its_neighbours(hosting: Provider) -> None:
    hosting.faults = [lambda _: Reply(waits=True)]
    *made, failed = backend_of(model_at(hosting.url), timeout_seconds=2).generate(
        [asked(seed) for seed in range(5)]
    )
    assert all(isinstance(result, RenderedImage) for result in made)
    assert isinstance(failed, FailedRequest)


def test_whoever_stops_listening_leaves_no_call_behind(hosting: Provider) -> None:
    hosting.faults = [lambda it: Reply(body=it), *[lambda _: Reply(waits=True)] * 5]
    outcomes = backend_of(model_at(hosting.url)).generate([asked(seed) for seed in range(6)])
    assert isinstance(next(outcomes), RenderedImage)
    outcomes.close()  # type: ignore[attr-defined]  # it would take as many minutes to wait
    assert len(hosting.calls) < 6


def test_nothing_is_sent_before_the_provider_wants_to_be_asked_again(hosting: Provider) -> None:
    hosting.faults = [lambda _: Reply(status=429, headers={"Retry-After": "1"})]
    made = backend_of(model_at(hosting.url), at_once=1).generate([asked(0), asked(1)])
    assert all(isinstance(result, RenderedImage) for result in made)
    first, *later = hosting.calls
    assert len(later) == 2
    assert min(call.at for call in later) - first.at >= 1


def test_no_more_calls_are_under_way_than_may_be(hosting: Provider) -> None:
    together = Barrier(3)

    def meet(answer: bytes) -> Reply:
        together.wait(60)  # breaks when ever fewer than three are under way
        return Reply(body=answer)

    hosting.always = meet
    made = list(backend_of(model_at(hosting.url), at_once=3).generate(map(asked, range(9))))
    assert all(isinstance(result, RenderedImage) for result in made)
    keys = [call.key for call in hosting.calls]
    assert len(set(keys)) == 9


def test_what_must_stay_local_is_never_sent(hosting: Provider) -> None:
    local = asked(tags=Tags(residency="local"))
    free, stopped = sorted(
        backend_of(model_at(hosting.url)).generate([local, asked()]),
        key=lambda result: isinstance(result, FailedRequest),
    )
    assert isinstance(free, RenderedImage)
    assert isinstance(stopped, FailedRequest)
    assert type(stopped.error) is BackendRejected
    assert not stopped.error.retryable
    assert "residency is local" in str(stopped.error)
    assert len(hosting.calls) == 1


def test_nothing_is_sent_after_the_providers_end_or_beyond_what_it_takes(
    hosting: Provider,
) -> None:
    today = datetime.now(UTC).date()
    over = model_at(hosting.url, until=today - timedelta(days=1))
    for model, request, why in (
        (over, asked(), f"ended on {over.hosted and over.hosted.until}"),
        (model_at(hosting.url), asked(negative_prompt="fog"), "takes no negative_prompt"),
        (model_at(hosting.url), asked(num_inference_steps=9), "takes no num_inference_steps"),
        (model_at(hosting.url), asked(init_image="a" * 64), "takes no init_image"),
    ):
        (outcome,) = backend_of(model).generate([request])
        assert isinstance(outcome, FailedRequest)
        assert why in str(outcome.error)
    assert not hosting.calls
    (outcome,) = backend_of(model_at(hosting.url, until=today)).generate([asked()])
    assert isinstance(outcome, RenderedImage)


def test_a_key_goes_to_its_host_and_into_no_word_of_ours(
    hosting: Provider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_HOSTED_KEYS", f"{hosting.host}={KEY} api.elsewhere.com=other")
    settings = Settings()
    assert settings.hosted_key("127.0.0.1:1") is None
    repeated = json_of(error={"code": KEY.upper(), "message": f"{KEY} is wrong", "type": KEY + "!"})
    hosting.always = lambda _: Reply(status=401, body=repeated)
    with caplog.at_level(logging.DEBUG):
        outcome = outcome_of(hosting, key=settings.hosted_key(hosting.host))
    assert isinstance(outcome, FailedRequest)
    assert hosting.calls[0].headers["authorization"] == f"Bearer {KEY}"
    assert "ATELIER_HOSTED_KEYS" in str(outcome.error)
    words = [str(outcome), repr(settings), settings.model_dump_json(), caplog.text]
    assert caplog.text
    assert not any(KEY in text or KEY.upper() in text for text in words)


def test_without_a_key_none_is_sent(hosting: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    outcome_of(hosting, key=Settings(hosted_keys=SecretStr("")).hosted_key(hosting.host))
    assert "authorization" not in hosting.calls[0].headers


def test_a_provider_that_is_not_there_is_unavailable() -> None:
    (outcome,) = backend_of(model_at("http://127.0.0.1:1/v1")).generate([asked()])
    assert isinstance(outcome, FailedRequest)
    assert type(outcome.error) is BackendUnavailable
    assert "cannot be reached" in str(outcome.error)


def test_retry_after_is_read_as_a_number_or_a_date_and_nothing_else() -> None:
    assert retry_after("7") == 7
    assert retry_after(format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True)) == 0
    ahead = datetime.now(UTC) + timedelta(hours=1)
    seconds = retry_after(format_datetime(ahead, usegmt=True))
    assert seconds is not None
    assert 3000 < seconds <= 3600
    for nonsense in (None, "", "soon", "-3", "1e3", "nan", "Mon, 99 Jan 99999999999 00:00:00 GMT"):
        assert retry_after(nonsense) is None
