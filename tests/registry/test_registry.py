"""The registry: folders become versions once, with all that is known of them, and no code runs."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from app.errors import DigestMismatch, InvalidRequest, ModelNotFound, NoRoute, RegistryError
from app.models.bundled import ECHO, FOLDERS, folder_of, read_version, weights_digest
from app.models.describe import describe, describe_bundled
from app.models.load import load
from app.plan.read import read_plan
from app.plan.schema import Plan
from app.registry.references import available_models, find_registered, pin_references
from app.registry.registry import Registry, open_registry
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.pointers import move
from app.types import Size
from tests.registries import golden_of, registry_in, settings_in

DRAFT = ECHO.replace(name="draft", version="0")


@pytest.fixture(scope="module")
def tiny(stock: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder in the layout of SD3, as save_pretrained writes it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    stock.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return registry_in(tmp_path / "home")


def test_a_folder_is_described_by_what_stands_in_it(tiny: Path) -> None:
    size = Size(width=1024, height=768)
    model = describe(
        tiny, "draft", licence="MIT", source="hub:owner/name@0a1b2c3", sizes=[size], steps=8
    )
    assert (model.name, model.family, model.licence) == ("draft", "sd3", "MIT")
    assert model.weights_digest == weights_digest(tiny)
    assert model.capabilities == ("text-to-image", "image-to-image", "inpainting")
    assert model.source == "hub:owner/name@0a1b2c3"
    assert model.latent_space.startswith("AutoencoderKL-")
    assert (model.sizes, model.num_inference_steps, model.guidance_scale) == ((size,), 8, 7.0)
    assert folder_of(model) == tiny


def test_a_described_folder_loads_as_the_version_it_is(tiny: Path) -> None:
    model = describe(tiny, "draft", licence="MIT")
    assert load(folder_of(model), model).settings.mode == "reproducible"


def test_a_folders_own_description_stands_where_nothing_is_said(tmp_path: Path) -> None:
    model = describe_bundled("starter", "draft")
    shipped = read_version(FOLDERS["starter"])
    assert model == shipped.replace(name="draft", version="0", source="bundled:starter")
    assert folder_of(model.replace(version="3")) == FOLDERS["starter"]


@pytest.mark.parametrize("name", ["weights.pkl", "unet.BIN", "run.py", "a.ckpt", "x.so", "w.npz"])
def test_pickles_and_code_are_refused_by_their_names(tiny: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in tiny.rglob("*"):
        target = folder / file.relative_to(tiny)
        target.mkdir() if file.is_dir() else os.link(file, target)
    (folder / "transformer" / name).write_bytes(b"anything")
    with pytest.raises(ModelNotFound, match=f"can run code.*{re.escape(name)}"):
        describe(folder, "draft", licence="MIT")


def test_what_is_no_model_is_refused_with_the_remedy(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no model_index\.json"):
        describe(tmp_path, "draft", licence="MIT")
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(ModelNotFound, match="no safetensors"):
        describe(tmp_path, "draft", licence="MIT")
    with pytest.raises(InvalidRequest, match="give --licence"):
        describe(tiny, "draft")
    with pytest.raises(InvalidRequest, match="hub:owner/name@revision"):
        describe(tiny, "draft", licence="MIT", source="hub:owner/name")
    with pytest.raises(InvalidRequest, match="belongs to a bundled model"):
        describe(tiny, "starter", licence="MIT")
    with pytest.raises(ModelNotFound, match="neither a folder nor a bundled model"):
        describe_bundled("strter", "draft")


def test_files_that_are_not_what_their_description_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "a.safetensors").write_bytes(b"other weights")
    version = read_version(FOLDERS["starter"])
    (tmp_path / "version.json").write_text(version.model_dump_json())
    with pytest.raises(DigestMismatch, match=r"version\.json names"):
        describe(tmp_path, "draft")


@pytest.mark.parametrize("file", ["model_index.json", "version.json", "vae/config.json"])
def test_a_description_that_cannot_be_read_is_named(tmp_path: Path, file: str) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    (tmp_path / "vae").mkdir()
    (tmp_path / file).write_text("{no json")
    with pytest.raises(InvalidRequest, match=re.escape(file)):
        describe(tmp_path, "draft", licence="MIT")


@pytest.mark.parametrize("critic", ["critic", "../critic", "/etc"])
def test_a_critic_must_stand_beside_the_model(tmp_path: Path, critic: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    (folder / "a.safetensors").write_bytes(b"weights")
    version = read_version(FOLDERS["starter"])
    version = version.replace(critic=critic, weights_digest=weights_digest(folder))
    (folder / "version.json").write_text(version.model_dump_json())
    with pytest.raises(ModelNotFound, match="not beside it"):
        describe(folder, "draft")


def test_the_same_weights_are_one_version_however_often_registered(registry: Registry) -> None:
    first = registry.register(DRAFT, role="draft")
    assert first.reference == "draft/1"
    assert registry.register(DRAFT, role="final") == first
    other = registry.register(DRAFT.replace(weights_digest="1" * 64))
    assert other.reference == "draft/2"
    assert registry.register(DRAFT.replace(name="final")).reference == "final/1"
    assert [version.reference for version in registry.versions()] == [
        "draft/1",
        "draft/2",
        "final/1",
    ]
    assert registry.version("draft/1") == first
    assert (first.role, first.model.licence, first.golden) == ("draft", "Apache-2.0", None)


def test_files_that_moved_are_found_where_they_were_registered_last(registry: Registry) -> None:
    registry.register(DRAFT.replace(folder="/models/a"))
    assert registry.register(DRAFT.replace(folder="/models/b")).reference == "draft/1"
    model = registry.version("draft/1").model
    assert model.folder == "/models/b"
    with pytest.raises(ModelNotFound, match="are missing in /models/b"):
        folder_of(model)


def test_several_who_register_at_once_get_the_same_version(registry: Registry) -> None:
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(registry.register, [DRAFT] * 8))
    assert len({version.reference for version in versions}) == 1
    assert len(registry.versions("draft")) == 1


def test_an_unknown_version_is_answered_with_what_there_is(registry: Registry) -> None:
    registry.register(DRAFT)
    with pytest.raises(ModelNotFound, match="it has draft/1"):
        registry.version("draft/7")
    with pytest.raises(ModelNotFound, match="did you mean draft"):
        registry.version("draught/1")
    with pytest.raises(ModelNotFound, match="not a model's name"):
        registry.version("draft' or '1'='1/1")


def test_golden_results_and_examples_are_kept(registry: Registry, tmp_path: Path) -> None:
    reference = registry.register(DRAFT, examples={"one.png": b"a picture"}).reference
    results = [
        golden_of(reference=reference, weights_digest=DRAFT.weights_digest, acceptance=share)
        for share in (0.5, 0.75)
    ]
    for result in results:
        registry.record(result, {"00.png": b"another"})
    assert registry.version(reference).golden == results[-1]
    assert registry.version(reference).model.seconds_per_image == 0.1
    assert sorted(registry.history(reference), key=lambda result: result.acceptance) == results
    kept = [path for path in (tmp_path / "home" / "mlflow").rglob("*") if path.is_file()]
    assert {path.read_bytes() for path in kept if path.suffix == ".png"} == {
        b"a picture",
        b"another",
    }
    stated = [json.loads(path.read_text()) for path in kept if path.name == "golden.json"]
    assert sorted(result["acceptance"] for result in stated) == [0.5, 0.75]


def test_an_alias_is_mirrored(registry: Registry) -> None:
    registry.register(DRAFT)
    assert registry.mirrored_alias("draft", "champion") is None
    registry.mirror("draft", "champion", "1")
    assert registry.mirrored_alias("draft", "champion") == "draft/1"


def test_what_others_keep_in_the_same_mlflow_is_left_alone(registry: Registry) -> None:
    registry._client.create_registered_model("theirs")
    registry._client.create_model_version(
        "theirs", source="models:/elsewhere".replace("models", "s3")
    )
    assert registry.versions() == []


def plan_of(folder: Path, *models: str) -> Plan:
    assets = [
        {"name": f"a{index}", "kind": "icon", "sizes": [64], "prompt": "a key", "model": model}
        for index, model in enumerate(models)
    ]
    path = folder / "plan.yaml"
    path.write_text(json.dumps({"atelier": 1, "name": "plan", "assets": assets}))
    return read_plan(path)


def test_a_fleet_resolves_an_alias_once(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    registry = open_registry(settings)
    for digit in "12":
        registry.register(DRAFT.replace(weights_digest=digit * 64))
    catalog = Catalog.open(settings.catalog)
    first = move(catalog, "draft", "champion", "draft/1", present=None, reason="")
    models = available_models(settings)
    assert models["draft@champion"].reference == "draft/1"
    move(catalog, "draft", "champion", "draft/2", present=first, reason="")
    assert models["draft@champion"].reference == "draft/1"
    assert available_models(settings)["draft@champion"].reference == "draft/2"
    assert models["draft/2"].weights_digest == "2" * 64
    assert models["starter-icons/1"] == models["starter"]
    assert find_registered("draft@champion", settings).reference == "draft/2"
    for reference in ("draft/3", "draft@best", "nobody/1"):
        with pytest.raises(NoRoute):
            models[reference]
    plan = plan_of(tmp_path, "draft@champion", "draft/1", "starter")
    pins = pin_references(plan, models, settings)
    assert [asset.model for asset in pins.assets] == ["draft/1", "draft/1", "starter"]
    for reference in ("draft", "starter-icons/2", "echo@champion"):
        assert reference not in models
    catalog.close()


def test_another_kind_of_uri_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, tracking_uri="databricks://me:secret@profile")
    with pytest.raises(RegistryError, match=r"'databricks'.*sqlite:////absolute/file") as refusal:
        open_registry(settings)
    assert "secret" not in str(refusal.value)


def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, tracking_uri="http://me:secret@127.0.0.1:1")
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:1 failed") as refusal:
        open_registry(settings)
    assert "secret" not in str(refusal.value)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server of the guide's own line, on another port."""
    guide = (Path(__file__).parents[2] / "app" / "registry" / "README.md").read_text()
    (line,) = re.findall(
        r"^MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false (mlflow server .*)$", guide, re.M
    )
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = shlex.split(line.replace("--port 5000", f"--port {port}"))
    environment = os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=tmp_path_factory.mktemp("server"),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield answering(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait()


def answering(address: str, process: "subprocess.Popen[bytes]") -> str:
    while process.poll() is None:
        try:
            with urlopen(f"{address}/health") as answer:
                assert answer.read() == b"OK"
                return address
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the server ended with {process.returncode}")


@pytest.mark.slow
def test_the_same_is_kept_by_a_server(server: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, tracking_uri=server)
    registry = open_registry(settings)
    first = registry.register(DRAFT, role="draft", examples={"one.png": b"a picture"})
    assert registry.register(DRAFT) == first
    result = golden_of(reference=first.reference, weights_digest=DRAFT.weights_digest)
    registry.record(result, {"00.png": b"another"})
    assert registry.history(first.reference) == [result]
    registry.mirror("draft", "champion", "1")
    assert registry.mirrored_alias("draft", "champion") == "draft/1"
    assert open_registry(settings).version("draft/1").golden == result
    assert not (tmp_path / "mlflow.db").exists()
    with pytest.raises(ModelNotFound, match="it has draft/1"):
        registry.version("draft/2")
