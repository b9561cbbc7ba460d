"""The model that ships: what its folder promises, held against the files and the pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.check.agreement import Critic
from app.models.bundled import CARD_FILES, FOLDERS, read_version, weights_digest
from app.types.request import words
from jobs.train.starter import damage
from jobs.train.starter.captions import NEUTRAL, plain, vocabulary
from jobs.train.starter.drawings import COLOURS, KINDS, Label, draw

FOLDER = FOLDERS["starter"]
CRITIC = FOLDER.parent / "critic"
PROMPTS = ("a red shield", "a blue sword", "an orange key", "a green potion", "a black bow")


@pytest.fixture(scope="module")
def critic() -> Critic:
    return Critic.load(CRITIC)


@pytest.fixture(scope="module")
def drawings() -> tuple[np.ndarray, list[str]]:
    """One drawing of every kind, with seeds that no training set reaches."""
    labels = [Label(kind, list(COLOURS)[i % 10], "shaded") for i, kind in enumerate(KINDS)]
    pixels = np.stack([draw(label, 90_000_000 + i) for i, label in enumerate(labels)])
    return pixels, [plain(label) for label in labels]


def test_the_version_is_that_of_the_files() -> None:
    version = read_version(FOLDER)
    assert version.weights_digest == weights_digest(FOLDER)
    assert version.reference == "starter-icons/1"
    assert version.licence == "Apache-2.0"
    assert set(version.vocabulary) == {*vocabulary(), *NEUTRAL}
    assert FOLDER.parent / version.critic == CRITIC


def test_the_parts_are_small_and_hold_no_code() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    weights = [path for path in files if path.name not in CARD_FILES]
    assert sum(path.stat().st_size for path in weights) <= 16_000_000
    assert sum(path.stat().st_size for path in CRITIC.iterdir()) <= 2_000_000
    assert {path.suffix for path in weights} <= {".json", ".safetensors"}


@pytest.mark.parametrize("folder", [FOLDER, CRITIC])
def test_the_cards_speak_of_these_weights(folder: Path) -> None:
    card = (folder / "README.md").read_text("utf-8")
    assert read_version(FOLDER).reference in card
    assert "{" not in card.split("```json")[0]
    if folder == FOLDER:
        assert read_version(FOLDER).weights_digest in card
        assert "Nobody has described" not in card


def test_fresh_drawings_agree_with_their_captions(
    critic: Critic, drawings: tuple[np.ndarray, list[str]]
) -> None:
    pixels, prompts = drawings
    assert np.mean(critic.agreement(pixels, prompts) >= critic.threshold) >= 0.8


def test_damaged_and_wrongly_named_drawings_do_not_agree(
    critic: Critic, drawings: tuple[np.ndarray, list[str]]
) -> None:
    pixels, prompts = drawings
    rng = np.random.default_rng(0)
    erased = np.stack([damage.erase_blocks(picture, rng, share=0.6) for picture in pixels])
    halved = np.stack([damage.cut(picture, rng) for picture in pixels])
    empty = np.stack([damage.empty(picture) for picture in pixels])
    shifted = prompts[1:] + prompts[:1]
    for spoilt, captions in (
        (erased, prompts),
        (halved, prompts),
        (empty, prompts),
        (pixels, shifted),
    ):
        assert np.mean(critic.agreement(spoilt, captions) >= critic.threshold) <= 0.07


@pytest.mark.parametrize("prompt", ["a dragon", "a red dragon", "a red sword on a horse"])
def test_the_critic_rejects_what_it_does_not_know(
    critic: Critic, drawings: tuple[np.ndarray, list[str]], prompt: str
) -> None:
    pixels, _ = drawings
    assert (critic.agreement(pixels, [prompt] * len(pixels)) < critic.threshold).all()
    assert critic.unknown_words(prompt)


def test_the_critic_knows_the_words_that_the_model_declares(critic: Critic) -> None:
    assert not critic.unknown_words(" ".join(read_version(FOLDER).vocabulary))
    assert not critic.unknown_words("the icon of " + PROMPTS[0])
    assert {word for prompt in PROMPTS for word in words(prompt)} <= set(critic.vocabulary)


@pytest.fixture(scope="module")
def stock() -> Any:
    """The unmodified pipeline over the folder, as a user loads it."""
    import torch
    from diffusers import StableDiffusion3Pipeline

    torch.set_num_threads(1)
    pipe = StableDiffusion3Pipeline.from_pretrained(
        FOLDER, text_encoder_3=None, tokenizer_3=None, dtype=torch.float32
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def pictures(pipe: Any, prompts: tuple[str, ...], **options: Any) -> np.ndarray:
    """uint8 RGBA with the version's defaults and seed 0 for each prompt."""
    import torch

    version = read_version(FOLDER)
    settings = {
        "num_inference_steps": version.num_inference_steps,
        "guidance_scale": version.guidance_scale,
        "max_sequence_length": version.max_sequence_length,
        "generator": [torch.Generator().manual_seed(0) for _ in prompts],
        "output_type": "np",
    }
    made = pipe(prompt=list(prompts), **(settings | options)).images
    return np.round(made * 255).astype(np.uint8)


@pytest.mark.slow
def test_the_stock_pipeline_makes_transparent_icons_that_the_critic_accepts(
    stock: Any, critic: Critic
) -> None:
    made = pictures(stock, PROMPTS)
    assert made.shape == (len(PROMPTS), 64, 64, 4)
    assert made[:, 0, 0, 3].max() <= 12
    assert np.mean(critic.agreement(made, PROMPTS) >= critic.threshold) >= 0.8
    swapped = [prompt.replace("red", "pink").replace("blue", "white") for prompt in PROMPTS[:2]]
    assert (critic.agreement(made[:2], swapped) < critic.threshold).all()


@pytest.mark.slow
def test_the_pipelines_own_text_length_makes_an_icon_too(stock: Any, critic: Critic) -> None:
    made = pictures(stock, PROMPTS[:2], max_sequence_length=256)
    assert (critic.agreement(made, PROMPTS[:2]) >= critic.threshold).all()
