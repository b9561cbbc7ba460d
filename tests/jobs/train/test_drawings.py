"""The renderer and the caption grammar."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.types.request import words
from jobs.train.starter import damage, data
from jobs.train.starter.captions import caption, plain, vocabulary
from jobs.train.starter.drawings import KINDS, MARGIN, Label, all_labels, draw
from jobs.train.starter.tokenizer import MAX_LENGTH, build_tokenizer

labels = st.sampled_from(all_labels())
seeds = st.integers(0, 2**31)


@settings(deadline=None, max_examples=60)
@given(label=labels, seed=seeds)
def test_every_drawing_keeps_a_clear_margin_and_shows_something(label: Label, seed: int) -> None:
    alpha = draw(label, seed)[..., 3]
    inner = alpha[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert alpha.sum() == inner.sum()
    assert (inner > 128).mean() > 0.12


@settings(deadline=None, max_examples=30)
@given(label=labels, seed=seeds)
def test_a_label_and_a_seed_always_give_the_same_bytes(label: Label, seed: int) -> None:
    assert np.array_equal(draw(label, seed), draw(label, seed))


@settings(deadline=None, max_examples=30)
@given(label=labels, seed=seeds)
def test_clear_pixels_carry_one_colour_so_that_edges_get_no_halo(label: Label, seed: int) -> None:
    pixels = draw(label, seed)
    hidden = pixels[pixels[..., 3] == 0][:, :3]
    assert len(np.unique(hidden, axis=0)) == 1


@settings(deadline=None, max_examples=20)
@given(label=labels, seed=seeds)
def test_another_seed_gives_another_drawing(label: Label, seed: int) -> None:
    assert not np.array_equal(draw(label, seed), draw(label, seed + 1))


@settings(deadline=None)
@given(label=labels, seed=seeds, complete=st.booleans())
def test_every_caption_is_made_of_the_vocabulary_and_names_its_kind(
    label: Label, seed: int, complete: bool
) -> None:
    text = caption(label, np.random.default_rng(seed), complete=complete)
    assert set(words(text)) <= set(vocabulary())
    assert "{" not in text
    assert "  " not in text


def test_every_word_is_one_token_and_every_caption_fits() -> None:
    tokenizer = build_tokenizer(vocabulary())
    assert all(len(tokenizer(word).input_ids) == 3 for word in vocabulary())
    rng = np.random.default_rng(0)
    captions = [caption(label, rng) for label in all_labels()]
    assert max(len(ids) for ids in tokenizer(captions).input_ids) <= MAX_LENGTH


@given(order=st.permutations(vocabulary()))
@settings(deadline=None, max_examples=5)
def test_the_same_words_always_give_the_same_tokens(order: list[str]) -> None:
    first, second = build_tokenizer(vocabulary()), build_tokenizer(order)
    assert first.get_vocab() == second.get_vocab()
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()


def test_words_outside_the_grammar_fall_into_pieces_that_read_back() -> None:
    tokenizer = build_tokenizer(vocabulary())
    ids = tokenizer("a red dragon").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a red dragon"
    assert len(ids) > 5


def test_the_article_follows_the_sound() -> None:
    assert plain(Label("axe", "orange", "flat")) == "an orange axe"
    assert plain(Label("axe", "red", "flat")) == "a red axe"


@pytest.mark.parametrize("kind", KINDS)
def test_erased_cut_and_empty_controls_lose_what_they_say(kind: str) -> None:
    drawn = draw(Label(kind, "blue", "cartoon"), 1)
    rng = np.random.default_rng(0)
    before = int((drawn[..., 3] > 0).sum())
    erased = damage.erase_blocks(drawn, rng, share=0.6)
    halved = damage.cut(drawn, rng)
    assert 0.15 * before < (erased[..., 3] > 0).sum() < 0.65 * before
    assert 0.15 * before < (halved[..., 3] > 0).sum() < 0.85 * before
    assert damage.empty(drawn)[..., 3].max() == 0
    assert np.array_equal(erased[..., :3], drawn[..., :3])


@settings(deadline=None, max_examples=60)
@given(label=labels, seed=seeds)
def test_damage_changes_what_is_seen(label: Label, seed: int) -> None:
    drawn, other = draw(label, seed), draw(Label("coin", "red", "flat"), seed)
    damaged = damage.apply_random_damage(drawn, other, np.random.default_rng(seed))
    assert damaged.shape == drawn.shape
    assert label.kind == "coin" or not np.array_equal(damaged, drawn)


def test_a_saved_set_reads_back_and_its_labels_take_turns(tmp_path: Path) -> None:
    drawn = data.render(6, data.FRESH)
    data.save(drawn, tmp_path / "set.npz")
    again = data.load(tmp_path / "set.npz")
    assert np.array_equal(again.pixels, drawn.pixels)
    assert [again.label(i) for i in range(6)] == all_labels()[:6]
    assert np.array_equal(again.pixels[3], draw(all_labels()[3], data.FRESH + 3))
