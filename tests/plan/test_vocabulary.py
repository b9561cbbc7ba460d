"""A prompt's words are held against what the model was taught."""

from hypothesis import given
from hypothesis import strategies as st

from app.plan.templates import unknown_words

KNOWN = ("a", "potion", "red", "épée")


def test_unknown_words_come_once_in_their_order_and_lower_case() -> None:
    prompt = "A Dragon, a red potion and a dragon's Épée!"
    assert unknown_words(prompt, KNOWN) == ("dragon", "and", "s")


def test_digits_and_signs_are_no_words() -> None:
    assert unknown_words("3 red_potion, 4x!", KNOWN) == ("x",)


@given(st.text())
def test_a_model_of_open_language_knows_every_word(prompt: str) -> None:
    assert unknown_words(prompt, ()) == ()


@given(st.text())
def test_the_words_of_a_prompt_are_known_once_they_are_taught(prompt: str) -> None:
    strange = unknown_words(prompt, KNOWN)
    assert unknown_words(prompt, {*KNOWN, *strange}) == ()
    assert unknown_words(" ".join(strange), KNOWN) == strange
