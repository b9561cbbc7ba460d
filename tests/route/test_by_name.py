"""Routing answers with a version or with what is known."""

from typing import Any

import pytest

from app.errors import NoRoute, OutOfBounds
from app.models.bundled import ECHO
from app.route.by_name import route_by_name
from app.types import Size
from tests.types.test_types import spec_of

SMALL = ECHO.replace(name="small", family="sd3", sizes=(Size(width=64, height=64),))
FLEET = {"echo": ECHO, "small": SMALL}


def test_the_written_reference_is_resolved_and_the_reason_said(request_of: Any) -> None:
    route = route_by_name(spec_of(request_of()).replace(model="echo"), FLEET)
    assert (route.backend, route.model) == ("echo", ECHO)
    assert "echo" in route.reason


def test_an_unknown_reference_names_the_nearest(request_of: Any) -> None:
    with pytest.raises(NoRoute, match="did you mean 'small'"):
        route_by_name(spec_of(request_of()).replace(model="smal"), FLEET)


def test_a_size_the_model_was_not_trained_at_is_refused(request_of: Any) -> None:
    with pytest.raises(OutOfBounds, match="64x64"):
        route_by_name(spec_of(request_of(width=32)).replace(model="small"), FLEET)


def test_the_key_changes_with_model_and_request(request_of: Any) -> None:
    echo, small = (
        route_by_name(spec_of(request_of(width=64, height=64)).replace(model=name), FLEET)
        for name in ("echo", "small")
    )
    digests = request_of().id, request_of(seed=1).id
    keys = {route.key(name) for route in (echo, small) for name in digests}
    assert len(keys) == 4
