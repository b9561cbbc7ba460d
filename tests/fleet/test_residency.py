"""What must stay local never finds a way to a hosted model, whatever stands in fleet and plan."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, NoRoute
from app.fleet.versions import residency_refusal
from app.models.bundled import ECHO
from app.route.by_name import route_by_name
from app.types import AssetSpec, HostedEndpoint, ModelVersion, Size, Tags
from tests.values import spec_with

NAMES = ("draft", "final", "poster", "echo")
HOSTED = HostedEndpoint(url="https://api.example.com/v1", model="painter")
WORDS = ("seeded", "steps", "negative-prompt", "transparent", "text")

models = st.builds(
    lambda name, hosted, sizes, words: ECHO.replace(
        name=name, hosted=hosted, sizes=sizes, capabilities=words,
        family="hosted" if hosted else "echo",
    ),
    st.sampled_from(NAMES),
    st.sampled_from((None, HOSTED)),
    st.sampled_from(((), (Size(width=64, height=64),))),
    st.lists(st.sampled_from(WORDS), unique=True).map(tuple),
)  # fmt: skip
fleets = st.dictionaries(st.sampled_from(NAMES), models, min_size=1)


@st.composite
def specs(draw: Any) -> AssetSpec:
    spec = spec_with()
    tags = Tags(
        residency=draw(st.sampled_from(("", "local", "hosted", "eu"))),
        team=draw(st.sampled_from(("", "art"))),
        priority=draw(st.integers(0, 9)),
    )
    request = spec.request.replace(
        tags=tags,
        negative_prompt=draw(st.sampled_from(("", "fog"))),
        tier=draw(st.sampled_from(("draft", "final"))),
        width=draw(st.sampled_from((64, 32))),
    )
    return spec.replace(model=draw(st.sampled_from(NAMES)), request=request)


@given(fleet=fleets, spec=specs())
def test_local_work_is_never_routed_to_a_hosted_model(
    fleet: dict[str, ModelVersion], spec: AssetSpec
) -> None:
    try:
        route = route_by_name(spec, fleet)
    except InvalidRequest:
        return
    residency = spec.request.tags.residency
    assert residency in ("", route.model.residency)
    if residency == "local":
        assert route.model.hosted is None
        assert route.backend != "openai_images"
    assert residency_refusal(route.model, spec.request.tags) is None


@given(spec=specs())
def test_a_place_that_nobody_knows_is_nowhere(spec: AssetSpec) -> None:
    tags = spec.request.tags.replace(residency="eu")
    assert residency_refusal(ECHO, tags) is not None
    assert residency_refusal(ECHO.replace(hosted=HOSTED), tags) is not None


def test_the_refusal_names_asset_model_and_remedy_and_the_tag_alone_decides() -> None:
    fleet = {"poster": ECHO.replace(name="poster", hosted=HOSTED)}
    spec = spec_with().replace(model="poster")
    assert route_by_name(spec, fleet).backend == "openai_images"
    bound = spec.replace(request=spec.request.replace(tags=Tags(residency="local")))
    with pytest.raises(NoRoute) as refused:
        route_by_name(bound, fleet)
    for part in ("potion.red", "poster/1", "api.example.com", "model: starter"):
        assert part in str(refused.value)
