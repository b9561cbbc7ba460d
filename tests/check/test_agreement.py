"""The image-text critic at inference, with a real network of random weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import save_file

from app.check.agreement import CONFIG_FILE, WEIGHTS_FILE, Critic
from app.check.networks import CriticNetwork
from app.check.planes import premultiplied
from app.errors import ModelNotFound
from app.types.request import words

VOCABULARY = ("a", "blue", "red", "shield", "sword")
NEUTRAL = ("of", "the")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A critic that was never trained."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("critic")
    network = CriticNetwork(len(VOCABULARY))
    save_file({k: v.half() for k, v in network.state_dict().items()}, path / WEIGHTS_FILE)
    config = {"vocabulary": VOCABULARY, "neutral": NEUTRAL, "threshold": 0.25}
    (path / CONFIG_FILE).write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def critic(folder: Path) -> Critic:
    return Critic.load(folder)


def noise(count: int, side: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 4), dtype=np.uint8)


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_company_does_not_change_an_agreement(critic: Critic, data: st.DataObject) -> None:
    images, prompts = noise(8), [f"a {c} {k}" for c in ("red", "blue") for k in ("sword",) * 4]
    chosen = data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=12))
    together = critic.agreement(images[chosen], [prompts[i] for i in chosen])
    alone = [critic.agreement(images[i : i + 1], [prompts[i]])[0] for i in chosen]
    assert together.tolist() == alone


@settings(deadline=None, max_examples=20)
@given(image=arrays(np.uint8, (64, 64, 4)))
def test_an_agreement_is_a_probability(critic: Critic, image: np.ndarray) -> None:
    (agreement,) = critic.agreement(image[None], ["a red sword"])
    assert 0 < agreement < 1


@settings(deadline=None, max_examples=20)
@given(image=arrays(np.uint8, (64, 64, 4)), colour=st.tuples(*[st.integers(0, 255)] * 3))
def test_the_colour_of_clear_pixels_is_not_seen(
    critic: Critic, image: np.ndarray, colour: tuple[int, int, int]
) -> None:
    repainted = image.copy()
    repainted[image[..., 3] == 0, :3] = colour
    before, after = critic.agreement(np.stack([image, repainted]), ["a red sword"] * 2)
    assert before == after


@pytest.mark.parametrize(
    "prompt", ["a dragon", "a red dragon", "a red sword dragon", "ein Schwert"]
)
def test_a_word_it_was_not_taught_brings_the_agreement_to_zero(critic: Critic, prompt: str) -> None:
    assert critic.agreement(noise(1), [prompt]).tolist() == [0.0]
    assert critic.unknown_words(prompt)


def test_neutral_words_order_case_and_punctuation_change_nothing(critic: Critic) -> None:
    prompts = ["a red sword", "The red sword, a", "A RED SWORD!"]
    agreement = critic.agreement(noise(1).repeat(3, axis=0), prompts)
    assert np.ptp(agreement) < 1e-6


def test_the_prompt_matters(critic: Critic) -> None:
    first, second = critic.agreement(noise(1).repeat(2, axis=0), ["a red sword", "a blue shield"])
    assert first != second


@pytest.mark.parametrize("side", [16, 64, 100, 256])
def test_pictures_of_any_size_are_judged_at_its_own(critic: Critic, side: int) -> None:
    image = np.full((side, side, 4), 200, dtype=np.uint8)
    same = critic.agreement(np.full((1, 64, 64, 4), 200, dtype=np.uint8), ["a sword"])
    assert premultiplied(image).shape == (64, 64, 4)
    assert critic.agreement(image[None], ["a sword"]) == pytest.approx(same, rel=1e-4)


def test_it_tells_its_threshold_and_its_words(critic: Critic) -> None:
    assert critic.threshold == 0.25
    assert critic.vocabulary == VOCABULARY
    assert words("It's a RED-sword, 2x") == ["it", "s", "a", "red", "sword", "x"]


@pytest.mark.parametrize("shape", [(64, 64, 4), (1, 64, 64, 3), (2, 64, 64, 4)])
def test_shapes_that_do_not_fit_are_refused(critic: Critic, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="n prompts"):
        critic.agreement(np.zeros(shape, dtype=np.uint8), ["a sword"])


@pytest.mark.parametrize("damage", ["missing", "not json", "wrong field", "other vocabulary"])
def test_a_folder_that_is_no_critic_is_refused(folder: Path, tmp_path: Path, damage: str) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text())
    if damage == "wrong field":
        config["colour"] = 1
    if damage == "other vocabulary":
        config["vocabulary"] = ["a"]
    if damage != "missing":
        (tmp_path / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes())
        text = "{" if damage == "not json" else json.dumps(config)
        (tmp_path / CONFIG_FILE).write_text(text)
    with pytest.raises(ModelNotFound, match="train-starter"):
        Critic.load(tmp_path)
