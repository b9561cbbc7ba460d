"""The real service in processes of its own, driven from outside over loopback; it is counted."""

import json
import re
import shlex
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import openai
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.image.png import read_png
from tests.deployments.service_process import IMAGES, ROOT, WAIT, Service, alone, body, replicas

pytestmark = pytest.mark.slow

CAPACITY, ONGOING, QUEUED = 12, 4, 2


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with tempfile.TemporaryDirectory() as folder:
        started = Service(Path(folder), _with_small_limits)
        try:
            callers = "only this machine, because there are no keys"
            assert started.said == f"{started.url} answers {callers}; Ctrl-C stops it\n"
            yield started
            _ends_in_good_order(started)
        finally:
            if started.process.poll() is None:
                started.stop()


def _ends_in_good_order(service: Service) -> None:
    """Ctrl-C finishes what is under way, says so, and leaves no process behind."""
    tree = service.processes
    with ThreadPoolExecutor(1) as caller:
        last = caller.submit(alone, service, seed=6, steps=100)
        while not service.state()["in_flight"]:
            sleep(0.05)
        output = service.stop()
        assert read_png(last.result()).shape == (64, 64, 4)
    assert (service.process.returncode, output) == (0, "finishing running calls\n")
    assert psutil.wait_procs(tree, timeout=60)[1] == []


def test_one_line_of_curl_gets_an_image_and_its_latency(service: Service) -> None:
    with service.client() as client:
        asked = {"prompt": "a red potion", "width": 64, "height": 64}
        answer = client.post("/generate", json=asked).json()
    assert read_png(b64decode(answer["b64_json"])).shape == (64, 64, 4)
    assert answer["latency_seconds"] >= answer["engine_seconds"] > 0
    assert answer["route"]["reason"] == "fast_preview"


def test_the_guide_says_how_to_call(service: Service) -> None:
    guide = (ROOT / "deployments" / "README.md").read_text().replace("8000", str(service.port))
    (code,) = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kinds = ["partial_image"] * 3 + ["completed"]
    assert done.stdout.split() == [f"image_generation.{kind}" for kind in kinds]
    (line,) = re.findall(r"^curl (.*)$", guide, re.MULTILINE)
    _, url, _, header, _, data = shlex.split(line)
    name, _, value = header.partition(": ")
    answer = httpx.post(f"http://{url}", headers={name: value}, content=data, timeout=WAIT)
    assert set(answer.json()) >= {"b64_json", "seed", "latency_seconds"}


def test_openais_client_gets_three_images_each_as_it_would_be_alone(service: Service) -> None:
    answer = service.openai.images.generate(
        prompt="a red potion", model="starter", n=3, size="64x64", extra_body={"seed": 7}
    )
    files = [b64decode(image.b64_json or "") for image in answer.data or []]
    assert files == [alone(service, seed=seed) for seed in (7, 8, 9)]
    assert len(set(files)) == 3


def test_the_service_and_a_run_of_a_plan_make_the_same_pixels(service: Service) -> None:
    from app.engine.engine import Engine
    from app.engine.results import RenderedImage
    from app.models.bundled import FOLDERS, bundled_models
    from app.models.load import load
    from app.types import GenerationRequest

    model = bundled_models()["starter"]
    request = GenerationRequest(
        prompt="a blue gem", width=64, height=64, num_inference_steps=12, guidance_scale=2, seed=3
    )
    engine = Engine(load(FOLDERS["starter"], model), knee=lambda width, height: 16)
    (made,) = engine.generate([request])
    engine.close()
    assert isinstance(made, RenderedImage)
    served = read_png(alone(service, prompt="a blue gem", seed=3))
    assert (served == made.pixels).all()


def test_openais_client_sees_partial_images_and_then_the_image(service: Service) -> None:
    stream = service.openai.images.generate(
        prompt="a red potion", model="draft", stream=True, partial_images=3, extra_body={"seed": 7}
    )
    with stream:
        events = list(stream)
    assert [event.type for event in events] == [
        *["image_generation.partial_image"] * 3,
        "image_generation.completed",
    ]
    for event in events:
        assert read_png(b64decode(event.b64_json)).shape == (64, 64, 4)
    assert b64decode(events[-1].b64_json) == alone(service, seed=7)


@pytest.mark.parametrize(
    ("fields", "kind", "code"),
    [
        ({"model": "dall-e-3"}, openai.NotFoundError, "model_not_found"),
        ({"residency": "moon"}, openai.UnprocessableEntityError, "role_not_deployed"),
        ({"size": "1024x1024"}, openai.UnprocessableEntityError, "out_of_bounds"),
        ({"n": 11}, openai.UnprocessableEntityError, "invalid_parameter"),
    ],
)
def test_openais_client_understands_every_refusal(
    service: Service, fields: dict[str, Any], kind: type[openai.APIStatusError], code: str
) -> None:
    passes = service.state()["forward_passes"]
    theirs = body(**{name: value for name, value in fields.items() if name != "residency"})
    ours = {name: value for name, value in fields.items() if name == "residency"}
    with pytest.raises(kind) as refused:
        service.openai.images.generate(**theirs, extra_body=ours)
    assert refused.value.code == code
    assert service.state()["forward_passes"] == passes


def test_two_callers_share_forward_passes_and_get_the_same_bytes_as_alone(
    service: Service,
) -> None:
    long, short = {"seed": 1, "steps": 100}, {"seed": 2, "steps": 10}
    expected = [alone(service, **long), alone(service, **short)]
    before = service.state()
    with service.client() as client:
        asked = body(stream=True, partial_images=3, **long)
        with client.stream("POST", IMAGES, json=asked) as answer:
            lines = (line for line in answer.iter_lines() if line.startswith("data: "))
            next(lines)  # the long one is a quarter through
            second = alone(service, **short)
            first = b64decode(json.loads(list(lines)[-1][6:])["b64_json"])
    after = service.state()
    assert [first, second] == expected
    assert after["exact_rows"]["64x64"][-1] == 16  # the row budget, and what is proven beside it
    assert after["row_steps"] - before["row_steps"] == 2 * (100 + 10)
    assert after["forward_passes"] - before["forward_passes"] < 100 + 10


def test_a_caller_who_goes_away_in_a_stream_frees_its_rows(service: Service) -> None:
    before = service.state()["row_steps"]
    asked = body(n=10, steps=100, stream=True, partial_images=3)
    with service.client() as client, client.stream("POST", IMAGES, json=asked) as answer:
        next(answer.iter_lines())
    while service.state()["in_flight"]:
        sleep(0.05)
    assert service.state()["row_steps"] - before < 2 * 10 * 100


def test_overload_is_shed_and_what_was_accepted_is_made(service: Service) -> None:
    expected = alone(service, seed=5, steps=50)

    def call(_: int) -> httpx.Response:
        with service.client() as client:
            return client.post(IMAGES, json=body(n=4, seed=5, steps=50))

    with ThreadPoolExecutor(24) as callers:
        answers = list(callers.map(call, range(24)))
    made = [answer for answer in answers if answer.status_code == 200]
    shed = [answer for answer in answers if answer.status_code != 200]
    assert made
    assert shed
    for answer in made:
        assert [image["seed"] for image in answer.json()["data"]] == [5, 6, 7, 8]
        assert b64decode(answer.json()["data"][0]["b64_json"]) == expected
    for answer in shed:
        assert answer.status_code in (429, 503)
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["error"]["code"] in ("queue_full", "no_capacity")
    assert alone(service, seed=5, steps=50) == expected
    assert service.state()["in_flight"] == 0


def test_the_same_call_under_a_key_is_made_once(service: Service) -> None:
    with service.client() as client:
        headers = {"Idempotency-Key": "a"}
        first = client.post(IMAGES, json=body(), headers=headers)
        passes = service.state()["forward_passes"]
        assert client.post(IMAGES, json=body(), headers=headers).json() == first.json()
        assert client.post(IMAGES, json=body(n=2), headers=headers).status_code == 422
    assert service.state()["forward_passes"] == passes


def test_other_names_other_pages_and_large_bodies_are_refused_at_the_endpoint(
    service: Service,
) -> None:
    with service.client() as client:
        assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 403
        foreign = client.post(IMAGES, json=body(), headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403
        declared = client.post(IMAGES, content=b"x" * 70_000)
        assert (declared.status_code, declared.json()["error"]["code"]) == (413, "body_too_large")


def test_nothing_listens_beyond_loopback(service: Service) -> None:
    listening = [
        (process.name(), connection.laddr.ip)
        for process in service.processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 1
    beyond = [
        (name, ip)
        for name, ip in listening
        if ip.removeprefix("::ffff:") not in ("127.0.0.1", "::1")
    ]
    assert beyond == []


def test_a_draft_is_polished_captioned_and_kept_and_can_be_made_again(service: Service) -> None:
    """What an art director does, by the clients a program would use."""
    client = service.openai

    def painted(**fields: Any) -> Any:
        prompt = "a red potion, cartoon outlined"
        answer = client.images.generate(prompt=prompt, extra_body=fields)
        (image,) = answer.data or []
        return image

    assert service.roles()["typography"]["asleep"]
    draft = painted(model="draft", seed=7)
    polished = painted(draft=draft.request_id, strength=0.4)
    assert read_png(b64decode(polished.b64_json)).shape == (256, 256, 4)
    captioned = painted(
        draft=polished.request_id,
        size="256x320",
        text_layers=[{"text": "Red Potion", "colour": "#ffffff", "plate": "auto"}],
    )
    assert captioned.text == [{"wanted": "Red Potion", "read": "Red Potion", "error_rate": 0}]
    assert not service.roles()["typography"]["asleep"]
    with service.client() as plain:
        for name, image in (("potion", polished), ("potion-card", captioned)):
            wanted = {"request_id": image.request_id, "name": name}
            kept = plain.post("/v1/images/keep", json=wanted).json()
            assert (kept["status"], kept["already"]) == ("accepted", False)
    records = service.atelier("assets", "--json")
    assert {record["name"] for record in records} == {"potion", "potion-card"}
    for name in ("potion", "potion-card"):
        assert [replay["sameness"] for replay in service.atelier("replay", name, "--json")] == [
            "identical"
        ]
    assert service.atelier("verify", "--json") == []
    while not service.roles()["typography"]["asleep"]:
        sleep(0.2)  # nobody asks any more


def test_openais_client_edits_a_picture(service: Service) -> None:
    picture = alone(service, seed=3)
    answer = service.openai.images.edit(
        image=("draft.png", picture, "image/png"),
        prompt="a blue potion",
        model="final",
        size="256x256",
        extra_body={"strength": 0.5, "seed": 1},
    )
    (image,) = answer.data or []
    assert read_png(b64decode(image.b64_json or "")).shape == (256, 256, 4)
    stream = service.openai.images.edit(
        image=("draft.png", picture, "image/png"),
        prompt="a blue potion",
        model="final",
        stream=True,
        partial_images=2,
        extra_body={"strength": 0.5, "seed": 1},
    )
    with stream:
        events = list(stream)
    assert b64decode(events[-1].b64_json) == b64decode(image.b64_json or "")


def test_replicas_follow_load_up_and_down_and_no_call_fails(service: Service) -> None:
    def polished(seed: int) -> bytes:
        return alone(service, model="final", seed=seed, steps=60, size="128x128")

    expected = polished(1)
    with ThreadPoolExecutor(9) as callers:
        burst = [callers.submit(polished, 1) for _ in range(24)]
        while len(replicas(service, "polish")) < 2:
            assert not all(call.done() for call in burst), "it was over before a second came"
            sleep(0.2)
        assert [call.result() for call in burst] == [expected] * 24
    while len(replicas(service, "polish")) > 1:
        assert polished(1) == expected  # while one of the two is going away


def test_a_replica_that_dies_under_a_call_costs_the_caller_nothing(service: Service) -> None:
    expected = alone(service, seed=4, steps=100)
    with service.client() as client:
        asked = body(seed=4, steps=100, stream=True, partial_images=3)
        with client.stream("POST", IMAGES, json=asked) as answer:
            lines = (line for line in answer.iter_lines() if line.startswith("data: "))
            events = [json.loads(next(lines)[6:])]
            (replica,) = replicas(service, "draft")
            replica.kill()
            events += [json.loads(line[6:]) for line in lines]
    assert [event.get("partial_image_index") for event in events] == [0, 1, 2, None]
    assert b64decode(events[-1]["b64_json"]) == expected


def _with_small_limits(args: dict[str, Any]) -> None:
    """So that it can be filled."""
    args["router"]["graceful_shutdown_timeout_s"] = 600
    args["draft"] |= {
        "capacity": CAPACITY,
        "max_ongoing_requests": ONGOING,
        "max_queued_requests": QUEUED,
        "graceful_shutdown_timeout_s": 600,
    }
    args["draft"]["replicas"] |= {"max_replicas": 1}  # whose counters are looked at
    args["typography"]["replicas"] |= {"downscale_to_zero_delay_s": 5, "downscale_delay_s": 5}
    args["polish"] |= {"graceful_shutdown_timeout_s": 600, "max_queued_requests": 64}
    args["polish"]["replicas"] |= {
        "max_replicas": 2,
        "target_ongoing_requests": 2,
        "look_back_period_s": 2,
        "upscale_delay_s": 0.5,
        "downscale_delay_s": 3,
    }


def test_the_metrics_tell_calls_replicas_and_what_the_costs_say(service: Service) -> None:
    with service.client() as client:
        named = client.post(IMAGES, json=body(seed=5), headers={"X-Request-Id": "order-7"})
        assert named.headers["x-request-id"] == "order-7"
        text = client.get("/metrics").text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    model = service.models()["starter"]
    assert samples["atelier_requests_total", *sorted([IMAGES, "answered", "draft", model])] >= 1
    assert samples["atelier_previews_total", *sorted(["draft", model])] >= 1
    assert samples["atelier_replicas", "draft"] >= 1
    assert samples["atelier_catalog_up",] == 1
    booked = sum(n for (name, *_), n in samples.items() if name == "atelier_images_total")
    assert booked == service.atelier("costs", "--by", "model", "--json")["total"]["attempts"]
    top = service.atelier("top", "--json", "--service", service.url)
    assert top["service"]["replicas"]["draft"] >= 1
