"""Selects assets: one by its name, or all that meet conditions."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TypeVar

from app.errors import InvalidRequest
from app.store.catalog import Catalog
from app.store.pointers import resolved
from app.types import AssetRecord, Measure, Status

CONDITIONS = ("name", "status", "model", "rule", "team", "run")
AssetWord = TypeVar("AssetWord", bound=StrEnum)


def select_assets(
    catalog: Catalog, reference: str | None, where: Sequence[str]
) -> list[AssetRecord]:
    """Returns one asset by NAME or NAME@VERSION, or those that meet every `condition=value`.

    Raises InvalidRequest when neither or both are given or a condition is unknown, AssetNotFound,
    and PromotionRefused for a model's alias that points nowhere.
    """
    if (reference is None) == (not where):
        raise InvalidRequest(
            "name one asset, or a set with --where; for all of them use --where 'name=*'"
        )
    if reference is not None:
        return [find_asset(catalog, reference)]
    given = dict(parse_condition(text, CONDITIONS) for text in where)
    return catalog.find_assets(
        name_glob=given.get("name"),
        status=_word(Status, given.get("status")),
        model=resolved(catalog, given["model"]) if "model" in given else None,
        rule=_word(Measure, given.get("rule")),
        team=given.get("team"),
        run_id=given.get("run"),
    )


def find_asset(catalog: Catalog, reference: str) -> AssetRecord:
    """Returns the asset of NAME or NAME@VERSION. Raises AssetNotFound."""
    name, _, version = reference.partition("@")
    return catalog.asset(name, version or None)


def parse_condition(text: str, names: Sequence[str]) -> tuple[str, str]:
    """Splits `name=value`; raises InvalidRequest for a name that is not in `names`."""
    name, equals, value = text.partition("=")
    if name not in names or not equals:
        raise InvalidRequest(
            f"--where {text!r} is not a condition; write one of {_listed(names)} as name=value"
        )
    return name, value


def _word(kind: type[AssetWord], text: str | None) -> AssetWord | None:
    try:
        return None if text is None else kind(text)
    except ValueError as exc:
        raise InvalidRequest(
            f"{text!r} is not a {kind.__name__.lower()}; use {_listed(kind)}"
        ) from exc


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
