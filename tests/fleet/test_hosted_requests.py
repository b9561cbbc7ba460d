"""Hosted versions as they are registered: what is refused, and what their digest stands for."""

import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.errors import InvalidRequest, OutOfBounds
from app.fleet.hosted_requests import (
    SUPPORTED_FIELDS,
    end_warning,
    request_body,
    unsupported_reason,
)
from app.generate.renderer import load_engine, open_renderer
from app.models.bundled import ECHO, bundled_models
from app.models.describe import describe_hosted, hosted_endpoint
from app.route.by_name import route_by_name
from app.settings import Settings
from app.store.publish import open_store
from app.types import HostedEndpoint, ModelVersion, Size, TextLayer
from tests.values import request_with, spec_with

URL = "https://api.example.com/v1"
SIZES = (Size(width=64, height=64),)


def described(*capabilities: str, url: str = URL, **changes: Any) -> ModelVersion:
    fixed = {name: changes.pop(name) for name in ("options", "until") if name in changes}
    endpoint = hosted_endpoint(url, changes.pop("model", "painter-1"), **fixed)
    fields = {"licence": "theirs", "sizes": SIZES, "capabilities": capabilities}
    return describe_hosted(endpoint, "poster", **(fields | changes))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",  # unencrypted
        "http://127.0.0.1.example.com/v1",
        "https://user:key@api.example.com/v1",
        "https://api.example.com\\@127.0.0.1/v1",
        "https://api.example.com/v1?key=1",
        "https://api.example.com/v1#x",
        "https://api.example.com/v1\n",
        "https:///v1",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "https://API.example.com/v1",
        "api.example.com/v1",
        "",
    ],
)
def test_an_address_is_encrypted_or_on_this_machine_and_read_alike_by_everybody(url: str) -> None:
    with pytest.raises(ValidationError):
        HostedEndpoint(url=url, model="painter")
    with pytest.raises(InvalidRequest, match="the hosted model cannot be called: url"):
        described(url=url)


def test_addresses_that_are_taken() -> None:
    for url, host in (
        ("https://api.example.com/v1/", "api.example.com"),
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000"),
        ("http://[::1]:8000/v1", "[::1]:8000"),
        ("http://localhost/v1", "localhost"),
    ):
        endpoint = HostedEndpoint(url=url, model="painter")
        assert endpoint.host == host
        assert endpoint.generations == f"{url.rstrip('/')}/images/generations"


def test_the_digest_stands_for_what_decides_the_pixels_and_for_nothing_else() -> None:
    model = described("seeded", "transparent", options=[("a", "1"), ("b", "2")])
    same = described(
        "transparent", "seeded", options=[("b", "2"), ("a", "1")], until=date(2999, 1, 1),
        licence="other",
    )  # fmt: skip
    assert model.weights_digest == same.weights_digest
    others = [
        described("seeded", "transparent"),
        described("seeded", options=[("a", "1"), ("b", "2")]),
        described("seeded", "transparent", options=[("a", "1"), ("b", "2")], model="painter-2"),
        described("seeded", "transparent", options=[("a", "1"), ("b", "2")], url=URL + "x"),
    ]
    assert len({version.weights_digest for version in (model, *others)}) == 5


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"licence": ""}, "--licence"),
        ({"sizes": ()}, "--size"),
        ({"capabilities": ("telepathy",)}, "telepathy"),
        ({"steps": 4}, "--capability steps"),
        ({"options": [("seed", "1")]}, "seed follows from the request"),
        ({"model": "two words"}, "model"),
    ],
)
def test_a_faulty_description_names_its_remedy(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        described(**changes)


def test_versions_that_stood_before_keep_their_place_and_backend() -> None:
    for version in bundled_models().values():
        assert (version.hosted, version.residency) == (None, "local")
        assert version.backend == ("echo" if version.family == "echo" else "engine")
    assert ModelVersion.model_validate(
        {name: value for name, value in ECHO.as_json().items() if name != "hosted"}
    ) == (ECHO)


@given(words=st.sets(st.sampled_from(sorted(SUPPORTED_FIELDS))), prompt=st.text("ab ", min_size=1))
def test_what_is_sent_follows_from_version_and_request_alone(words: set[str], prompt: str) -> None:
    model = described(*words)
    request = request_with(prompt).replace(
        negative_prompt="fog" if "negative-prompt" in words else "",
        text_layers=(TextLayer(text="sale", font_digest="a" * 64),) if "text" in words else (),
        num_inference_steps=9 if "steps" in words else 1,
    )
    assert model.hosted is not None
    assert unsupported_reason(model, request) is None
    body = request_body(model.hosted, model, request)
    assert ("seed" in body) == ("seeded" in words)
    assert ("steps" in body) == ("steps" in words)
    assert ("negative_prompt" in body) == ("negative-prompt" in words)
    assert "font_digest" not in str(body)


def test_a_plan_that_asks_for_more_than_can_be_sent_is_refused_before_any_work() -> None:
    spec = spec_with()
    variants = spec.replace(model="poster", request=spec.request.replace(negative_prompt="fog"))
    with pytest.raises(OutOfBounds, match="takes no negative_prompt"):
        route_by_name(variants, {"poster": described()})
    assert (
        route_by_name(variants, {"poster": described("negative-prompt")}).model.hosted is not None
    )


def test_ends_are_told_of_when_they_are_near() -> None:
    version = described(until=date(2027, 3, 1))
    assert end_warning(version, date(2026, 12, 1)) is None
    assert end_warning(version, date(2027, 2, 1)) == "poster/0 ends on 2027-03-01, in 28 days"
    assert "ended on 2027-03-01" in str(end_warning(version, date(2027, 3, 2)))
    assert end_warning(ECHO, date(2027, 3, 2)) is None


def test_a_hosted_model_cannot_be_kept_warm_here() -> None:
    with pytest.raises(InvalidRequest, match=r"hosted at api\.example\.com"):
        load_engine(described(), Settings(), mode="exact")


def test_without_its_extra_a_hosted_model_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    store = open_store(tmp_path.as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")
    route = route_by_name(spec_with().replace(model="poster"), {"poster": described()})
    with pytest.raises(InvalidRequest, match=r"pip install 'atelier\[hosted\]'"):
        open_renderer(route, Settings(home=tmp_path), store)
    store.catalog.close()
