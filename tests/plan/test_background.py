"""A background is found beside its plan and nowhere else, whole, for text, and named by bytes."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from app.digest import digest_bytes
from app.errors import Fault, InvalidRequest, PlanError
from app.plan.background import MAX_BYTES
from app.plan.expand import expand
from app.plan.read import read_plan
from app.plan.schema import Plan
from app.registry.references import background_files
from app.types import AssetSpec
from tests.plan.plans import MODELS, OPEN

SETTING = OPEN.replace(name="setting", capabilities=("text-to-image", "text"))
FLEET = MODELS | {"typography": SETTING}
LAYERS = [{"text": "SALE"}]


def png(mode: str = "RGB", size: tuple[int, int] = (12, 8), colour: int = 7) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, colour).convert(mode).save(file, "PNG")
    return file.getvalue()


class PlanFolder:
    """A folder with a plan and its pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pictures").mkdir(parents=True)

    def put(self, name: str, data: bytes) -> bytes:
        (self.folder / name).write_bytes(data)
        return data

    def read(self, *assets: dict[str, Any], **top: Any) -> Plan:
        defaults = {"kind": "poster", "prompt": "a sky", "sizes": ["64x32", "16x8"]}
        plan = {"atelier": 1, "name": "t", "model": "typography"} | top
        plan["defaults"] = defaults | top.get("defaults", {})
        file = self.folder / "plan.yaml"
        file.write_text(yaml.safe_dump(plan | {"assets": list(assets)}, sort_keys=False))
        return read_plan(file, models=FLEET)

    def specs(self, *assets: dict[str, Any], **top: Any) -> list[AssetSpec]:
        return list(expand(self.read(*assets, **top), FLEET))

    def faults(self, *assets: dict[str, Any], **top: Any) -> list[Fault]:
        with pytest.raises(PlanError) as caught:
            self.read(*assets, **top)
        return list(caught.value.faults)


@pytest.fixture
def plan_folder(tmp_path: Path) -> PlanFolder:
    return PlanFolder(tmp_path / "desk")


def poster(file: Any = "pictures/sky.png", **changes: Any) -> dict[str, Any]:
    return {"name": "sale", "background": file, "text_layers": LAYERS} | changes


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_a_request_names_the_picture_s_bytes_and_paints_nothing(
    plan_folder: PlanFolder, mode: str
) -> None:
    data = plan_folder.put("pictures/sky.png", png(mode))
    (spec,) = plan_folder.specs(poster())
    assert (spec.request.init_image, spec.request.strength) == (digest_bytes(data), 0)
    assert (spec.candidates, spec.attempts) == (1, 1)


def test_defaults_give_every_asset_a_background_and_an_asset_its_own(
    plan_folder: PlanFolder,
) -> None:
    sky, sea = plan_folder.put("sky.png", png()), plan_folder.put("sea.png", png(colour=9))
    first, other = poster("sea.png"), {"name": "more", "text_layers": LAYERS}
    specs = plan_folder.specs(first, other, defaults={"background": "sky.png"})
    assert [spec.request.init_image for spec in specs] == [digest_bytes(sea), digest_bytes(sky)]


def test_only_the_bytes_name_what_is_made(plan_folder: PlanFolder) -> None:
    """Another name is the same picture, another picture under the same name is another."""
    data = plan_folder.put("pictures/sky.png", png())
    plan_folder.put("moved.png", data)
    (before,), (moved,) = plan_folder.specs(poster()), plan_folder.specs(poster("moved.png"))
    assert moved.digest == before.digest
    plan_folder.put("pictures/sky.png", png(colour=8))
    (after,) = plan_folder.specs(poster())
    assert after.digest != before.digest


def test_what_is_recorded_names_the_digest_and_no_folder(plan_folder: PlanFolder) -> None:
    data = plan_folder.put("pictures/sky.png", png())
    plan = plan_folder.read(poster())
    document = plan.as_json()
    assert str(plan_folder.folder) not in str(document)
    again = Plan.model_validate(document)
    assert list(expand(again, FLEET)) == list(expand(plan, FLEET))
    assert (background_files(plan), background_files(again)) == ((data,), ())


def test_a_picture_that_changes_after_it_was_checked_is_refused(plan_folder: PlanFolder) -> None:
    plan_folder.put("pictures/sky.png", png())
    plan = plan_folder.read(poster(), poster(name="more"))
    assert len(background_files(plan)) == 1
    plan_folder.put("pictures/sky.png", png(colour=8))
    with pytest.raises(InvalidRequest, match=r"sky\.png has changed since the plan was read"):
        background_files(plan)
    (plan_folder.folder / "pictures" / "sky.png").unlink()
    with pytest.raises(InvalidRequest, match=r"sky\.png does not exist"):
        background_files(plan)


def inside_link(service: PlanFolder) -> None:
    os.symlink(service.folder / "real.png", service.folder / "bad.png")
    service.put("real.png", png())


def test_a_link_may_stay_inside_the_folder(plan_folder: PlanFolder) -> None:
    inside_link(plan_folder)
    assert len(plan_folder.specs(poster("bad.png"))) == 1


def outside_link(service: PlanFolder) -> None:
    (service.folder.parent / "secret.png").write_bytes(png())
    os.symlink(service.folder.parent / "secret.png", service.folder / "bad.png")


def outside_folder(service: PlanFolder) -> None:
    (service.folder.parent / "elsewhere").mkdir()
    (service.folder.parent / "elsewhere" / "sky.png").write_bytes(png())
    os.symlink(service.folder.parent / "elsewhere", service.folder / "away")


def circle(service: PlanFolder) -> None:
    os.symlink("bad.png", service.folder / "bad.png")


def pipe(service: PlanFolder) -> None:
    os.mkfifo(service.folder / "bad.png")


def huge(service: PlanFolder) -> None:
    """A byte too many, none of which takes a place on the disk."""
    with (service.folder / "bad.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)


def bad(data: bytes) -> Callable[[PlanFolder], None]:
    def put(service: PlanFolder) -> None:
        service.put("bad.png", data)

    return put


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    return file.getvalue()


def deep() -> bytes:
    file = io.BytesIO()
    Image.new("I;16", (4, 4)).save(file, "PNG")
    return file.getvalue()


def nothing(_: PlanFolder) -> None:
    """The folder is empty."""


@pytest.mark.parametrize(
    ("prepare", "file", "message", "remedy"),
    [
        (nothing, "bad.png", "does not exist", "correct the path"),
        (nothing, "../secret.png", "not a path below the plan's folder", "into the plan's folder"),
        (nothing, "pictures/../../a.png", "not a path below the plan's folder", "plan's folder"),
        (nothing, "/etc/passwd", "not a path below the plan's folder", "into the plan's folder"),
        (nothing, "C:\\sky.png", "not a path below the plan's folder", "into the plan's folder"),
        (outside_link, "bad.png", "a link that leaves", "into the plan's folder"),
        (outside_folder, "away/sky.png", "a link that leaves", "into the plan's folder"),
        (circle, "bad.png", "cannot be read", "into the plan's folder"),
        (pipe, "bad.png", "is not a file", "path of a PNG"),
        (nothing, "pictures", "cannot be read: is a directory", "plan's folder"),
        (bad(jpeg()), "bad.png", "the file is not a PNG", "PNG of 8 bits"),
        (bad(deep()), "bad.png", "bit depth 16", "8 bits"),
        (bad(png()[:-9]), "bad.png", "truncated", "one whole"),
        (bad(png("L", (4097, 4096))), "bad.png", "4097x4096", "pixels"),
        (huge, "bad.png", "is larger than 64 MiB", "smaller"),
        (bad(b""), "bad.png", "not a PNG", "8 bits"),
        (nothing, "", "is empty", "remove the key"),
        (nothing, 7, "is a number where text is expected", "quote it"),
        (nothing, ["a.png"], "is not a path", "pictures/sky.png"),
        (nothing, "x" * 201, "longer than 200", "shorten"),
        (bad(png()), {"file": "bad.png", "digest": "0" * 64}, "keys besides the path", "bad.png"),
        (bad(png()), {"file": "bad.png", "folder": "/"}, "keys besides the path", "bad.png"),
    ],
)
def test_a_faulty_background_is_a_fault_of_the_plan(
    plan_folder: PlanFolder,
    prepare: Callable[[PlanFolder], None],
    file: Any,
    message: str,
    remedy: str,
) -> None:
    prepare(plan_folder)
    (fault,) = plan_folder.faults(poster(file))
    assert fault.field.startswith("assets[0].background")
    assert message in fault.message
    assert remedy in fault.remedy
    text = (plan_folder.folder / "plan.yaml").read_text().splitlines()
    assert text[fault.line - 1].strip().startswith(("background:", "file:", "digest:", "folder:"))


def test_a_faulty_default_is_told_once(plan_folder: PlanFolder) -> None:
    assets = [poster(name="a"), {"name": "b", "text_layers": LAYERS}, {"name": "c"}]
    del assets[0]["background"]
    (fault,) = plan_folder.faults(*assets[:2], defaults={"background": "gone.png"})
    assert (fault.field, fault.value) == ("defaults.background", "gone.png")
    own = poster(name="a", file="sky.png")
    plan_folder.put("sky.png", png())
    (fault,) = plan_folder.faults(own, defaults={"background": "gone.png"})
    assert fault.field == "defaults.background"


def test_a_background_without_text_is_a_fault(plan_folder: PlanFolder) -> None:
    plan_folder.put("sky.png", png())
    (fault,) = plan_folder.faults({"name": "bare", "background": "sky.png"})
    assert "the asset has no text_layers" in fault.message
    assert "give bare text_layers:" in fault.remedy


@pytest.mark.parametrize(
    ("model", "top"), [("open", {}), ("auto", {"route": {"models": ["typography"]}})]
)
def test_a_model_that_sets_no_text_is_a_fault(
    plan_folder: PlanFolder, model: str, top: Any
) -> None:
    plan_folder.put("pictures/sky.png", png())
    (fault,) = plan_folder.faults(poster(model=model), **top)
    assert (fault.field, fault.value) == ("assets[0].background", "pictures/sky.png")
    assert f"model: {model} does not set text" in fault.message
    assert "model: typography" in fault.remedy


def test_faults_of_pictures_hide_no_others(plan_folder: PlanFolder) -> None:
    faults = plan_folder.faults(poster("gone.png", kind="postr"), poster("gone.png", sizes=[0]))
    assert [fault.field for fault in faults] == [
        "assets[0].background",
        "assets[0].kind",
        "assets[1].background",
        "assets[1].sizes[0]",
    ]


def test_one_name_over_two_pictures_is_a_duplicate(plan_folder: PlanFolder) -> None:
    plan_folder.put("a.png", png())
    plan_folder.put("b.png", png(colour=8))
    (fault,) = plan_folder.faults(poster("a.png"), poster("b.png"))
    assert "duplicate name" in fault.message
