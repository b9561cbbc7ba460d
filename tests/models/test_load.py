"""Loading a diffusers folder: the version's own files or a refusal."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.engine.results import FailedRequest, RenderedImage
from app.errors import DigestMismatch, ModelNotFound
from app.models.any_diffusers import DiffusersBackend
from app.models.bundled import read_version, weights_digest
from app.models.load import load
from app.models.sd3 import Sd3Pipeline
from app.types import ModelVersion
from tests.engine.engines import engine_of


@pytest.fixture(scope="module")
def folder(stock: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pipeline in diffusers' own folder layout."""
    folder = tmp_path_factory.mktemp("model")
    stock.save_pretrained(folder)
    return folder


def version_of(folder: Path, family: str = "sd3") -> ModelVersion:
    return ModelVersion(
        name="tiny", version="1", family=family, weights_digest=weights_digest(folder),
        licence="Apache-2.0", num_inference_steps=4, guidance_scale=4, max_sequence_length=8,
    )  # fmt: skip


def test_a_loaded_folder_renders_what_was_saved(folder: Path, stock: Any, request_of: Any) -> None:
    loaded = load(folder, version_of(folder))
    assert isinstance(loaded, Sd3Pipeline)
    (ours,) = engine_of(loaded).generate([request_of()])
    (direct,) = engine_of(Sd3Pipeline(stock, max_sequence_length=8)).generate([request_of()])
    assert isinstance(ours, RenderedImage)
    assert isinstance(direct, RenderedImage)
    assert np.array_equal(ours.pixels, direct.pixels)


def test_another_family_is_rendered_whole_and_alone(folder: Path, request_of: Any) -> None:
    loaded = load(folder, version_of(folder, family="other"))
    assert isinstance(loaded, DiffusersBackend)
    first, again, refused = loaded.generate([request_of(), request_of(), request_of(width=18)])
    assert isinstance(first, RenderedImage)
    assert isinstance(again, RenderedImage)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.pixels.shape == (16, 16, 4)
    assert isinstance(refused, FailedRequest)


def test_changed_weights_are_refused_by_digest(folder: Path) -> None:
    version = version_of(folder).replace(weights_digest="0" * 64)
    with pytest.raises(DigestMismatch, match="tiny/1"):
        load(folder, version)


def test_files_that_can_run_code_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(ModelNotFound, match=r"weights\.bin"):
        load(tmp_path, version_of(folder))


def test_a_folder_without_a_version_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="train or register"):
        read_version(tmp_path)
