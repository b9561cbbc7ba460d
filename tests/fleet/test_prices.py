"""Price sheets and budgets as people write them."""

from pathlib import Path

import pytest

from app.errors import InvalidRequest
from app.fleet.prices import Budgets, Price, PriceSheet, budgets, price_sheet
from app.models.bundled import ECHO
from app.settings import Settings


def settings_with(folder: Path, **texts: str) -> Settings:
    """Settings that name files of these texts."""
    files = {}
    for name, text in texts.items():
        files[name] = folder / f"{name}.yaml"
        files[name].write_text(text)
    return Settings(home=folder, **files)


def test_an_attempt_is_charged_by_its_device_and_the_call() -> None:
    price = Price(gpu_second=2, cpu_second=0.5, call=0.25)
    assert price.attempt_usd(4, gpu=True) == 8.25
    assert price.attempt_usd(4, gpu=False) == 2.25
    assert price.max_usd(4) == 8.25


def test_the_nearest_entry_of_the_sheet_counts(tmp_path: Path) -> None:
    text = """
cpu_second: 1
backends: {echo: {call: 2}, engine: {call: 5}}
models:
  echo/1: {call: 3, at_most_seconds: 9}
  echo: {call: 4}
"""
    sheet = price_sheet(settings_with(tmp_path, prices=text))
    assert sheet.price(ECHO, "echo") == Price(call=3, at_most_seconds=9)
    assert sheet.price(ECHO.replace(version="2"), "echo") == Price(call=4)
    other = ECHO.replace(name="other")
    assert sheet.price(other, "echo") == Price(call=2)
    assert sheet.price(other, "hosted").attempt_usd(3, gpu=False) == 3


def test_without_a_sheet_the_machines_hours_are_charged(tmp_path: Path) -> None:
    sheet = price_sheet(Settings(home=tmp_path, usd_per_hour=7200, prices=None))
    assert (
        sheet.price(ECHO, "echo").attempt_usd(3, gpu=False) == sheet.attempt_usd(3, gpu=True) == 6
    )
    assert budgets(Settings(home=tmp_path)) == Budgets()
    assert price_sheet(Settings(home=tmp_path)) == PriceSheet()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cpu_second: dear", "cpu_second is 'dear'"),
        ("models: {echo: {call: -1}}", "models.echo.call is -1"),
        ("cpu_secnod: 1", "a price sheet knows gpu_second, cpu_second"),
        ("- 1", "not a price sheet; write keys with values"),
        ("{", "cannot be read as a price sheet"),
        ("call: .inf", "call is inf"),
    ],
)
def test_a_sheet_that_is_none_is_refused_by_place_and_value(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        price_sheet(settings_with(tmp_path, prices=text))
    assert words in str(refusal.value)
    assert "prices.yaml" in str(refusal.value)


def test_budgets_name_days_and_teams(tmp_path: Path) -> None:
    caps = budgets(settings_with(tmp_path, budgets="day: 20\nteams: {art: 100, live ops: 2.5}"))
    assert caps == Budgets(day=20, teams={"art": 100, "live ops": 2.5})
    with pytest.raises(InvalidRequest, match=r"day is 'much'.*a file of budgets knows day, teams"):
        budgets(settings_with(tmp_path, budgets="day: much"))
    with pytest.raises(InvalidRequest, match="cannot be read"):
        budgets(Settings(home=tmp_path, budgets=tmp_path / "missing.yaml"))


def test_shares_are_weights_and_whoever_is_not_named_weighs_one(tmp_path: Path) -> None:
    caps = budgets(settings_with(tmp_path, budgets="shares: {heroes: 3, ui: 0.5}"))
    assert [caps.share(team) for team in ("heroes", "ui", "props", "")] == [3, 0.5, 1, 1]
    with pytest.raises(InvalidRequest, match=r"shares.ui is 0"):
        budgets(settings_with(tmp_path, budgets="shares: {ui: 0}"))
