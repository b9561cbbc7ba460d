"""The JSON Schema of plan files as users write them, for editors that complete and check.

The models of `schema.py` describe a plan after `shorthand.py`; here the short forms are added, and
the keys that only Atelier fills in are left out.
"""

from typing import Any

from app.digest import Json
from app.plan.schema import Plan

SIZE_TEXT = {"type": "string", "pattern": "^[0-9]{1,4}x[0-9]{1,4}$"}
PIXELS = {"type": "integer", "minimum": 1}
RANGE = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
FILE = {"type": "string"}
AXIS_VALUE = {"type": ["string", "number"]}
FILLED_IN = {"Background": ("digest", "folder"), "Brand": ("digest", "folder"),
             "TextLayer": ("font_digest",)}  # fmt: skip


def plan_schema() -> dict[str, Json]:
    """Returns the schema (JSON Schema 2020-12) of a plan file."""
    schema: dict[str, Any] = Plan.model_json_schema()
    parts = schema["$defs"]
    for name, keys in FILLED_IN.items():
        for key in keys:
            del parts[name]["properties"][key]
    for name, short in (("Size", [SIZE_TEXT, PIXELS]), ("RangeText", [RANGE])):
        parts[name] = {"anyOf": [parts[name], *short]}
    for owner in (parts["Defaults"], parts["PlanAsset"], parts["Pack"], schema):
        _add_short_forms(owner["properties"])
    for owner in (parts["PlanAsset"], parts["Bounds"]):
        _allow_numbers_as_axis_values(owner["properties"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _add_short_forms(properties: dict[str, Any]) -> None:
    short = {"sizes": {"$ref": "#/$defs/Size"}, "background": FILE, "brand": FILE}
    for key in short.keys() & properties.keys():
        properties[key]["anyOf"].append(short[key])


def _allow_numbers_as_axis_values(properties: dict[str, Any]) -> None:
    values = {"type": "array", "items": AXIS_VALUE}
    properties["axes"]["additionalProperties"] = values
    if "exclude" in properties:
        one_or_more = {"anyOf": [AXIS_VALUE, values]}
        properties["exclude"]["items"]["additionalProperties"] = one_or_more
