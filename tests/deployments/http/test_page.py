"""The page in a browser, over the whole service but for Ray and with real engines behind it."""

import re
import shlex
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from os import geteuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from pydantic import TypeAdapter

from app.image.png import read_png
from app.review import POLICY
from app.route.by_role import Role
from app.types import Name
from deployments.preview_service import PreviewService
from tests.deployments.http.browser import PROMPT, WAIT, Lock, Visit, served
from tests.deployments.workers import DRAFT, SIDE, service_of, three_roles, worker_of
from tests.engine.test_async_engine import Gated
from tests.programs import need

pytestmark = pytest.mark.slow

PLACES = """() => ["#canvas", ".ask", ".inspector", ".history"].map((one) => {
    const { x, y, width, height } = document.querySelector(one).getBoundingClientRect();
    return [x, y, width, ...(one === ".inspector" ? [] : [height])];
})"""


@pytest.fixture(scope="module")
def lock() -> Lock:
    return Lock()


@pytest.fixture(scope="module")
def url(stock: Any, lock: Lock, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    home = tmp_path_factory.mktemp("home")
    with served(lambda: three_roles(stock, home), lock) as address:
        yield address


@pytest.fixture
def gated(stock: Any, lock: Lock, tmp_path: Path) -> Generator[tuple[str, Gated]]:
    """A service whose only model paints while its gate is open."""
    pipeline = Gated(stock)

    @asynccontextmanager
    async def services() -> AsyncGenerator[PreviewService]:
        async with worker_of(pipeline) as (worker, _):
            yield service_of({Role.DRAFT: worker}, (DRAFT,), tmp_path)

    with served(services, lock) as address:
        try:
            yield address, pipeline
        finally:
            pipeline.gate.set()


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    chromium = need("chromium")
    expect.set_options(timeout=WAIT)
    arguments = ["--no-sandbox"] if geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser) -> Generator[Callable[[str], Visit]]:
    """Open the page; at the end nothing was complained about and nobody else was asked."""
    visits: list[Visit] = []

    def opened(address: str) -> Visit:
        allowed = ["clipboard-read", "clipboard-write"]
        context = browser.new_context(permissions=allowed, viewport={"width": 1280, "height": 800})
        visits.append(Visit(context.new_page(), address))
        return visits[-1]

    yield opened
    for page_visit in visits:
        elsewhere = [
            asked.url for asked in page_visit.requests if not asked.url.startswith(page_visit.url)
        ]
        assert [url for url in elsewhere if not url.startswith("blob:")] == []
        assert page_visit.complaints == []
        page_visit.page.context.close()


def test_the_page_and_its_files_come_with_what_a_browser_must_not_do(url: str) -> None:
    page = httpx.get(url)
    assert page.headers["content-security-policy"] == POLICY
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for answer in (page, httpx.get(f"{url}/static/main.js")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        again = httpx.get(answer.url, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    for name in ("__init__.py", "..%2f__init__.py", "%2e%2e/page.py", "previews.html"):
        missing = httpx.get(f"{url}/static/{name}")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_url")
    assert "/static/{name}" not in httpx.get(f"{url}/openapi.json").json()["paths"]


def test_a_picture_forms_in_sketches_and_says_how_it_came_about(
    url: str, visit: Callable[[str], Visit]
) -> None:
    page = visit(url)
    page.ask()
    page.made(1)
    assert page.sent() == {
        "prompt": PROMPT,
        "tags": ["fast_preview"],
        "n": 1,
        "stream": True,
        "partial_images": 3,
        "explain": True,
    }
    expect(page.at("#forming .phase")).to_have_count(4)
    assert page.fact("Seed").isdigit()
    for figure in ("First picture", "In all", "Engine"):
        assert re.fullmatch(r"\d+\.\d+ s", page.fact(figure))
    assert page.fact("Cost").startswith("$")
    expect(page.at("#panel-facts .chip")).to_have_text("draft")
    expect(page.at("#panel-facts .rules .yes")).to_contain_text("fast_preview")
    expect(page.at("#announce")).to_contain_text("The picture is finished")
    image = page.at("#large img")
    expect(image).to_have_class("crisp")
    assert image.evaluate("one => one.clientWidth % one.naturalWidth") == 0
    first = image.get_attribute("src")
    page.at("#forming .phase").first.click()
    expect(image).not_to_have_attribute("src", first or "")
    page.at("#pixels").click()
    expect(image).not_to_have_class("crisp")


def test_what_stands_under_more_and_the_choices_are_asked_for(
    url: str, visit: Callable[[str], Visit]
) -> None:
    page = visit(url)
    page.at("#model").select_option("tiny")
    page.at("#size").select_option(f"{SIDE}x{SIDE}")
    page.at("#number").select_option("2")
    page.at("#more summary").click()
    fields = {"seed": "7", "steps": "3", "guidance": "2.5", "negative": "text", "deadline": "60"}
    for name, value in fields.items():
        page.at(f"#{name}").fill(value)
    expect(page.at("#more-count")).to_have_text(": 5 set")
    page.ask()
    page.made(1)
    asked = page.sent()
    assert asked["model"] == "tiny"
    assert "tags" not in asked
    assert (asked["size"], asked["n"], asked["seed"]) == (f"{SIDE}x{SIDE}", 2, 7)
    assert (asked["steps"], asked["guidance"], asked["deadline_ms"]) == (3, 2.5, 60_000)
    assert asked["negative_prompt"] == "text"
    expect(page.at(".tile .seed")).to_have_text(["7", "8"])
    page.at("#more summary").click()
    page.at("#steps").fill("0")
    page.press("Control+Enter")  # refused by the form itself, which shows the field
    expect(page.at("#steps")).to_be_focused()
    expect(page.at("#history .made")).to_have_count(1)


def test_eight_variations_one_polished_captioned_and_kept_by_keyboard(
    url: str, visit: Callable[[str], Visit]
) -> None:
    page = visit(url)
    page.at("#prompt").fill(PROMPT)
    page.leave_fields()
    page.press("v")
    page.made(1)
    assert page.sent()["n"] == 8
    seeds = [int(seed) for seed in page.at(".tile .seed").all_inner_texts()]
    assert seeds == [(seeds[0] + index) % 2**32 for index in range(8)]
    expect(page.at(".tile").first).to_be_focused()
    page.press("ArrowRight", "ArrowDown", "ArrowLeft", "Enter")
    picked = int(page.at(".tile[aria-selected=true]").get_attribute("data-index") or "")
    assert picked >= 2
    assert page.fact("Seed") == str(seeds[picked])
    page.press("ArrowRight")  # compares while one is large
    assert page.fact("Seed") == str(seeds[picked + 1])
    page.press("ArrowLeft", "p", "ArrowRight", "Enter")  # the slider has the focus
    page.made(2)
    polished = page.sent()
    assert (polished["model"], polished["strength"], polished["n"]) == ("final", 0.45, 1)
    assert (polished["prompt"], polished["seed"]) == (PROMPT, seeds[picked])
    assert polished["size"] == "64x64"
    assert re.fullmatch(r"[0-9a-f]{64}", polished["draft"])
    expect(page.at("#tab-facts")).to_be_focused()
    assert read_png(page.file()).shape == (64, 64, 4)
    began = page.at("#forming .phase").first
    expect(began).to_have_attribute("aria-label", "Where it began")

    page.press("c")
    page.page.keyboard.type("Haste")
    page.at("[name=where][value=above]").check()
    page.at("[name=caption-size][value='256x256']").check()
    page.at("#text").press("Enter")
    page.made(3)
    captioned = page.sent()
    assert "model" not in captioned
    assert "strength" not in captioned  # the same picture
    assert captioned["draft"] != polished["draft"]
    (layer,) = captioned["text_layers"]
    assert (layer["text"], layer["font"], layer["outline"]) == ("Haste", "Inter-SemiBold", "auto")
    assert layer["box"]["y"] + layer["box"]["height"] <= 64
    expect(page.at("#panel-facts .chip")).to_have_text("typography")
    expect(page.at("#panel-facts .read")).to_contain_text("Haste")

    page.press("k")
    expect(page.at("#name")).to_have_value("red-potion")
    page.at("#name").fill("Red Potion")
    page.press("Enter")
    expect(page.at("#name:invalid")).to_be_visible()  # no catalog name, and not sent
    page.at("#name").fill("red-potion")
    page.at("#usage").fill("icons")
    page.press("Enter")
    expect(page.at("#kept")).to_contain_text("Kept: red-potion@")
    kept = page.sent("/v1/images/keep")
    assert TypeAdapter(Name).validate_python(kept["name"]) == "red-potion"
    assert (kept["usage"], len(kept["request_id"])) == ("icons", 64)
    expect(page.at("#history .was-kept")).to_have_count(1)
    page.press("Enter")
    expect(page.at("#kept")).to_contain_text("Kept already")

    page.at("#history .made").first.click()  # back to what was picked of the eight
    page.at("#tab-facts").click()
    assert page.fact("Seed") == str(seeds[picked])
    page.press("g")
    expect(page.at(".tile").nth(picked)).to_be_focused()


def test_going_back_in_history_brings_the_prompt_unless_a_new_one_is_being_written(
    url: str, visit: Callable[[str], Visit]
) -> None:
    page = visit(url)
    for count, prompt in enumerate(("a red potion", "a blue gem"), start=1):
        page.ask(prompt)
        page.made(count)
    page.at("#history .made").first.click()
    expect(page.at("#title")).to_have_text("a red potion")
    expect(page.at("#prompt")).to_have_value("a red potion")
    page.at("#prompt").fill("a golden")
    page.at("#history .made").last.click()
    expect(page.at("#title")).to_have_text("a blue gem")
    expect(page.at("#prompt")).to_have_value("a golden")


def test_what_is_copied_makes_the_same_picture_elsewhere(
    url: str, visit: Callable[[str], Visit], tmp_path: Path
) -> None:
    page = visit(url)
    page.ask('it\'s a "red" potion \\ $HOME `id` ü')
    page.made(1)
    shown = page.file()
    command = shlex.split(page.code("curl").replace("\\\n", ""))
    assert command[:2] == ["curl", "-sS"]
    headers = dict(command[at + 1].split(": ") for at, word in enumerate(command) if word == "-H")
    data = command[command.index("-d") + 1]
    answer = httpx.post(command[2], headers=headers, content=data.encode(), timeout=60)
    assert b64decode(answer.json()["data"][0]["b64_json"]) == shown
    python = page.code("python")
    subprocess.run([sys.executable, "-c", python], cwd=tmp_path, check=True)
    (written,) = tmp_path.glob("*.png")
    assert written.read_bytes() == shown


def test_escape_cancels_and_the_service_frees_the_work(
    gated: tuple[str, Gated], visit: Callable[[str], Visit]
) -> None:
    address, pipeline = gated
    pipeline.gate.clear()
    page = visit(address)
    page.ask()
    expect(page.at("#said")).to_contain_text("Waiting for the first sketch")
    expect(page.at("#said")).to_contain_text("Waking")  # after some seconds without one
    page.press("Escape")
    expect(page.at("#said")).to_contain_text("Cancelled")
    expect(page.at("#history .made")).to_have_attribute("data-status", "cancelled")
    pipeline.gate.set()
    while httpx.get(f"{address}/readyz").json()["roles"]["draft"]["in_flight"]:
        pass
    page.press("Control+Enter")
    page.made(2)
    assert pipeline.steps < 2 * DRAFT.steps  # of the first, only the step under way was made


def test_a_refusal_is_told_in_the_services_words_with_when_to_ask_again(
    url: str, visit: Callable[[str], Visit]
) -> None:
    page = visit(url)
    page.at("#number").select_option("10")  # more than there is room for
    page.ask()
    problem = page.at("#problem")
    expect(problem).to_contain_text("Busy:")
    expect(problem).to_contain_text("503 no_capacity")
    expect(page.at("#again")).to_be_disabled()
    expect(page.at("#again")).to_be_enabled()  # after the three seconds that were named
    page.at("#number").select_option("1")
    page.at("#model").select_option("tiny-typography")
    page.at("#size").select_option("1024x1024")
    page.at("#more summary").click()
    page.at("#steps").fill("99")
    page.press("Control+Enter")
    expect(problem).to_contain_text("steps 99 are more than the 8 that tiny-typography allows")
    assert len(page.complaints) == 2  # the browser's own words on the two statuses
    page.complaints.clear()


def test_a_service_with_keys_is_given_one_which_is_kept_in_the_tab_alone(
    url: str, visit: Callable[[str], Visit], lock: Lock
) -> None:
    lock.key = "atelier-secret"
    try:
        page = visit(url)
        expect(page.at("#key-dialog")).to_be_visible()
        expect(page.at("#key-why")).to_contain_text("the API key is missing or unknown")
        assert page.complaints
        page.complaints.clear()
        page.at("#key-text").fill(lock.key)
        page.press("Enter")
        expect(page.at("#service")).to_have_attribute("data-state", "ready")
        page.ask()
        page.made(1)
        for tongue in ("curl", "python"):
            assert "ATELIER_KEY" in page.code(tongue)
            assert lock.key not in page.code(tongue)
        assert page.page.evaluate("[sessionStorage.length, localStorage.length]") == [1, 0]
        assert page.page.context.cookies() == []
    finally:
        lock.key = ""


def test_single_letters_are_text_in_a_field_and_can_be_turned_off(
    url: str, visit: Callable[[str], Visit]
) -> None:
    page = visit(url)
    page.at("#prompt").click()
    page.press("v", "?")
    expect(page.at("#prompt")).to_have_value("v?")
    page.leave_fields()
    page.press("?")
    expect(page.at("#keys")).to_be_visible()
    page.at("#single-keys").uncheck()
    page.press("Escape")
    expect(page.at("#keys")).to_be_hidden()
    page.leave_fields()
    page.press("v", "?")
    expect(page.at("#keys")).to_be_hidden()
    expect(page.at("#history .made")).to_have_count(0)


def test_the_policy_holds_against_markup_in_a_prompt_and_scripts_on_the_page(
    url: str, visit: Callable[[str], Visit]
) -> None:
    page = visit(url)
    hostile = "<img src=x onerror=window.broken=1><script>window.broken=1</script>"
    page.ask(hostile)
    page.made(1)
    expect(page.at("#title")).to_have_text(hostile)
    page.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.broken = 1";
            document.body.append(script);
        }"""
    )
    assert page.page.evaluate("window.broken") is None
    assert "Content Security Policy" in "".join(page.complaints)
    page.complaints.clear()


@pytest.mark.parametrize("width", [360, 900, 1440])
def test_nothing_sticks_out_or_moves_while_a_picture_forms(
    url: str, visit: Callable[[str], Visit], width: int
) -> None:
    page = visit(url)
    page.page.set_viewport_size({"width": width, "height": 800})
    before = page.page.evaluate(PLACES)
    page.ask()
    page.made(1)
    assert page.page.evaluate(PLACES) == before
    assert page.page.evaluate("document.documentElement.scrollWidth") == width
