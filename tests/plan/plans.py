"""Plans as text or data, read from a real file, and a model version to expand them for."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.errors import Fault, PlanError
from app.plan.expand import expand
from app.plan.read import read_plan
from app.plan.schema import Plan
from app.types import AssetSpec, ModelVersion, Size

STARTER = ModelVersion(
    name="starter-icons",
    version="1",
    family="sd3",
    weights_digest="0" * 64,
    licence="Apache-2.0",
    sizes=(Size(width=64, height=64),),
    num_inference_steps=12,
    guidance_scale=4,
    max_sequence_length=1,
    critic="critic",
)
OPEN = STARTER.replace(name="open", sizes=(), num_inference_steps=28, guidance_scale=7, critic="")
MODELS = {"starter": STARTER, "open": OPEN}


def read(text: str | bytes, *, allow_large: bool = False) -> Plan:
    """The plan in a file with this content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_plan(path, allow_large=allow_large)


def plan_of(*assets: dict[str, Any], **top: Any) -> Plan:
    """The plan with these assets, through YAML; kind, prompt and sizes are given."""
    defaults = {"kind": "icon", "prompt": "a thing", "sizes": ["64x64"]} | top.pop("defaults", {})
    data = {"atelier": 1, "name": "test", "defaults": defaults, "assets": list(assets)} | top
    return read(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), allow_large=True)


def specs_of(*assets: dict[str, Any], **top: Any) -> list[AssetSpec]:
    """That plan, expanded."""
    return list(expand(plan_of(*assets, **top), MODELS))


def faults(text: str | bytes, *, allow_large: bool = False) -> tuple[Fault, ...]:
    """What is wrong with the text; fails when nothing is."""
    with pytest.raises(PlanError) as caught:
        read(text, allow_large=allow_large)
    return caught.value.faults
