"""A plan's brand: in the plan or in a file beside it, refused by its lines, asked of all."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.digest import digest_bytes
from app.errors import Fault, InvalidRequest, PlanError
from app.plan.brand_file import brand_bytes
from app.plan.expand import expand
from app.plan.read import read_plan
from app.plan.schema import Plan
from app.types import AssetSpec, BrandRule, Measure, Verdict
from jobs.cluster.package import PLAN_FILE, write_package
from tests.cli.test_main import run, run_json
from tests.plan.plans import MODELS

GEM = {"name": "gem", "kind": "icon", "prompt": "a gem", "sizes": 64}
TAVERN = """palette: {colours: ["#C62F2F", "#f2c53d"], tolerance: 30}
light: {angle: 315}
framing: {share: [0.5, 0.9], margin: 0.05}
background: "#F4EFE2"
otherwise: review
"""


def read(folder: Path, **top: Any) -> Plan:
    plan = {"atelier": 1, "name": "t", "assets": [GEM]} | top
    file = folder / "plan.yaml"
    file.write_text(yaml.safe_dump(plan, sort_keys=False))
    return read_plan(file)


def write_brand(folder: Path, text: str = TAVERN, name: str = "brands/tavern.yaml") -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return name


def spec(plan: Plan) -> AssetSpec:
    return next(expand(plan, MODELS))


def faults(folder: Path, **top: Any) -> list[Fault]:
    with pytest.raises(PlanError) as caught:
        read(folder, **top)
    return list(caught.value.faults)


def test_a_brand_becomes_rules_beside_the_plans_own(tmp_path: Path) -> None:
    made = spec(read(tmp_path, brand=yaml.safe_load(TAVERN)))
    assert made.brand == (
        BrandRule(check=Measure.PALETTE_ERROR, at_most=30, pillar="palette",
                  colours=("#c62f2f", "#f2c53d"), ground="#f4efe2", otherwise=Verdict.REVIEW),
        BrandRule(check=Measure.LIGHT_ERROR, at_most=45, pillar="light", angle=315,
                  ground="#f4efe2", otherwise=Verdict.REVIEW),
        BrandRule(check=Measure.SUBJECT_SHARE, at_least=0.5, at_most=0.9, pillar="framing.share",
                  ground="#f4efe2", otherwise=Verdict.REVIEW),
        BrandRule(check=Measure.MARGIN, at_least=0.05, pillar="framing.margin",
                  ground="#f4efe2", otherwise=Verdict.REVIEW),
        BrandRule(check=Measure.GROUND_ERROR, at_most=0.1, pillar="background",
                  ground="#f4efe2", otherwise=Verdict.REVIEW),
    )  # fmt: skip
    assert made.demands == (*made.rules, *made.brand)


def test_a_file_says_the_same_as_the_plan_itself(tmp_path: Path) -> None:
    shared = read(tmp_path, brand=write_brand(tmp_path))
    assert spec(shared).brand == spec(read(tmp_path, brand=yaml.safe_load(TAVERN))).brand
    assert shared.brand is not None
    assert shared.brand.digest == digest_bytes(TAVERN.encode())
    assert Plan.model_validate(shared.as_json()).brand == shared.brand.replace(folder="")


def test_without_a_brand_plans_and_specs_keep_their_digests(tmp_path: Path) -> None:
    plain, branded = read(tmp_path), read(tmp_path, brand=yaml.safe_load(TAVERN))
    assert "brand" not in plain.as_json()
    assert spec(plain).brand == ()
    assert spec(plain).digest == spec(branded).replace(brand=()).digest != spec(branded).digest


def test_faults_in_the_brands_file_are_told_by_its_own_lines(tmp_path: Path) -> None:
    text = "light: {angle: 400}\npallete:\n  colours: []\nbackground: blue\n"
    plan_faults = faults(tmp_path, brand=write_brand(tmp_path, text), name="a b")
    assert [(Path(fault.file).name, fault.line, fault.field) for fault in plan_faults] == [
        ("plan.yaml", 2, "name"),
        ("tavern.yaml", 1, "brand.light.angle"),
        ("tavern.yaml", 2, "brand.pallete"),
        ("tavern.yaml", 4, "brand.background"),
    ]
    assert "palette" in plan_faults[2].remedy
    assert "transparent" in plan_faults[3].remedy


@pytest.mark.parametrize(
    ("brand", "message"),
    [
        ("brands/none.yaml", "does not exist"),
        ("../brands/tavern.yaml", "not a path below the plan's folder"),
        ({"file": "brands/tavern.yaml", "light": {"angle": 0}}, "has other keys"),
        ({"otherwise": "review"}, "has no rule"),
        ({"palette": {"colours": ["red"]}}, "is not a colour"),
        ({"palette": {}}, "is missing"),
        ({"framing": {"share": [0.9, 0.5]}}, "cannot be satisfied by any number"),
        ([1], "must be keys with values"),
    ],
)
def test_a_brand_that_cannot_be_used_is_refused(tmp_path: Path, brand: Any, message: str) -> None:
    write_brand(tmp_path)
    (fault,) = faults(tmp_path, brand=brand)
    assert message in fault.message
    assert fault.remedy


@pytest.mark.parametrize("text", ["- 1\n", "{", "otherwise: review\n", "file: other.yaml\n"])
def test_a_file_that_is_no_brand_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    (fault,) = faults(tmp_path, brand=write_brand(tmp_path, text))
    assert Path(fault.file).name == "tavern.yaml"


def test_a_link_out_of_the_plans_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    write_brand(tmp_path, name="secret.yaml")
    (tmp_path / "house" / "brand.yaml").symlink_to(tmp_path / "secret.yaml")
    (fault,) = faults(tmp_path / "house", brand="brand.yaml")
    assert "link that leaves" in fault.message


def test_a_brands_own_measures_are_no_plain_rules(tmp_path: Path) -> None:
    asset = GEM | {"rules": [{"check": "light_error", "at_most": 20}]}
    (fault,) = faults(tmp_path, assets=[asset])
    assert "brand" in fault.message


def test_the_door_lists_each_rule_with_its_check(tmp_path: Path) -> None:
    read(tmp_path, brand=write_brand(tmp_path))
    listed = run_json("checks", "brand", str(tmp_path / "plan.yaml"))
    assert [(rule["pillar"], rule["check"]) for rule in listed[:2]] == [
        ("palette", "palette_error"),
        ("light", "light_error"),
    ]
    assert "framing.margin" in run("checks", "brand", str(tmp_path / "plan.yaml"))
    read(tmp_path)
    assert "no brand" in run_json("checks", "brand", str(tmp_path / "plan.yaml"), code=2)["message"]


def test_a_plan_travels_with_its_brand(tmp_path: Path) -> None:
    plan = read(tmp_path, brand=write_brand(tmp_path))
    (tmp_path / "parcel").mkdir()
    write_package(tmp_path / "parcel", plan, tmp_path / "plan.yaml")
    assert read_plan(tmp_path / "parcel" / PLAN_FILE).as_json() == plan.as_json()


def test_the_file_must_be_what_was_checked(tmp_path: Path) -> None:
    brand = read(tmp_path, brand=write_brand(tmp_path)).brand
    assert brand is not None
    assert brand_bytes(brand) == TAVERN.encode()
    write_brand(tmp_path, TAVERN + "# changed\n")
    with pytest.raises(InvalidRequest, match="has changed since the plan was read"):
        brand_bytes(brand)
    shutil.rmtree(tmp_path / "brands")
    with pytest.raises(InvalidRequest, match="does not exist"):
        brand_bytes(brand)
