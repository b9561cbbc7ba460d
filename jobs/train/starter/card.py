"""Writes the model cards: recipe, digests, scores and their controls, limits, review notes."""

import json
from dataclasses import asdict
from pathlib import Path

from app.check.agreement import WEIGHTS_FILE, Critic
from app.digest import digest_file, digest_folder
from app.types import ModelVersion
from jobs.train.starter.drawings import COLOURS, KINDS
from jobs.train.starter.evaluation import Evaluation
from jobs.train.starter.publish import size_of
from jobs.train.starter.recipe import Recipe
from jobs.train.starter.score import Score

_NOT_REVIEWED = "Nobody has described this sheet yet; look at it before you trust a number."

_ICONS = """\
# {reference}

A text-to-image model for 64 x 64 game icons with a clear background: sixteen kinds of object in
ten colours and three styles. It is the default that Atelier ships, so that a plan runs without
a network, an account or a GPU. Licence: Apache-2.0. It was trained from nothing on drawings
that the recipe itself draws; no outside picture, text or weight went into it.

![Every kind in every colour](sheet.png)

Rows: {kinds}. Columns: {colours}. The first picture for each caption "a COLOUR KIND", nothing
chosen by hand.

## What a person sees on the sheet

{seen}

## Use

```python
import torch
from diffusers import StableDiffusion3Pipeline

pipe = StableDiffusion3Pipeline.from_pretrained(
    "app/models/starter/icons", text_encoder_3=None, tokenizer_3=None, dtype=torch.float32
)
picture = pipe(
    "a red shield", num_inference_steps={steps}, guidance_scale={guidance:g}, max_sequence_length=1
).images[0]  # RGBA
```

The two `None` are needed, for there is no third text encoder. `max_sequence_length=1` is three
times as fast as the pipeline's default of 256 and gives much the same picture.

## Scores

{steps} steps, guidance {guidance:g} (chosen by rule among {guidances} on other seeds). Lenient: an
independent classifier names kind and colour rightly. Strict: also its probability for the kind
and the critic's agreement lie above the 5th percentile of fresh drawings
({kind_probability:.4f} and {agreement:.4f}).

| pictures | count | kind | colour | lenient | strict |
|---|---|---|---|---|---|
{rows}

Strict by kind: {by_kind}.

Strict by colour: {by_colour}.

Style, by the classifier: {style:.2f} of styled prompts (fresh drawings: {style_ceiling:.2f}).
Strict by guidance, on the prompts for choosing: {by_guidance}. {seconds:.2f} s per picture on
one thread of the machine that trained it.

Both judges learned from the same renderer as the model, so the scores say nothing about
pictures of another kind, and a strict pass is not a verdict on beauty.

## Limits

- It knows {word_count} words (`version.json`) and nothing else. "A dragon" gives some known
  object or a blend; the critic rejects it, and planning warns.
- 64 x 64 only, one object, one view, clear background. No scenes, letters, people or animals.
- Pictures of one caption differ little from seed to seed: in style, when none is named, in light
  and in proportion, but hardly in shape.

## Recipe

```sh
python -m jobs dev train-starter
```

Drawings -> autoencoder -> latents -> transformer and both text encoders by flow matching;
critic, classifier and the decoder's tuning run beside it. Seeds are part of the settings; on
one machine with one thread the same command gives the same weights.

```json
{recipe}
```

| part | digest or size |
|---|---|
| weights | `{digest}` |
| transformer | `{transformer}` |
| vae | `{vae}` |
| text_encoder | `{text_encoder}` |
| text_encoder_2 | `{text_encoder_2}` |
| all parts | {megabytes:.2f} MB |
"""

_CRITIC = """\
# Critic of {reference}

A small dual encoder that says how probable it is that a picture shows what its caption says,
and that nothing of it is missing. It learned from the same drawings as the model beside it,
crisp and softened, with captions of a wrong kind, a wrong colour, an unknown word or a second
object, and with damaged drawings. Licence: Apache-2.0. {kilobytes:.0f} kB, digest `{digest}`.

Agreement = P(caption fits) x P(undamaged). The threshold {threshold:.4f} is the 5th percentile
of drawings it never saw with captions from the grammar. Share of {count} other fresh drawings
at or above it:

| pair | accepted |
|---|---|
| right caption | {right:.3f} |
| caption of another kind | {wrong_kind:.3f} |
| caption of another colour | {wrong_colour:.3f} |
| "a COLOUR dragon" | {unknown_word:.3f} |
| 60 % of 8 px blocks erased | {damaged:.3f} |

- A prompt with a word it was not taught has agreement 0 by rule, whatever the picture. A few
  neutral words (`config.json`) are passed over.
- It ignores style, on purpose, and the order of words.
- It is blind to whatever the renderer never draws: no judge of beauty, and none for other models.
- Pictures of any size are brought to 64 x 64 first. Each goes through the network alone, so its
  number does not depend on the others.

Trained by `python -m jobs dev train-starter`.
"""


def write_cards(
    icons: Path, critic: Path, version: ModelVersion, evaluation: Evaluation, recipe: Recipe
) -> None:
    """Writes README.md into the model's folder and into the critic's."""
    (icons / "README.md").write_text(_icons_card(icons, version, evaluation, recipe), "utf-8")
    (critic / "README.md").write_text(_critic_card(critic, version, evaluation), "utf-8")


def review_notes(folder: Path, weights_digest: str) -> str:
    """Returns a person's notes on the sheet of these weights, or a sentence that there are none.

    They are in `seen.md` in the folder; its first line is the digest of the weights.
    """
    first, _, text = (folder / "seen.md").read_text("utf-8").partition("\n")
    return text.strip() if first.strip() == weights_digest else _NOT_REVIEWED


def _icons_card(icons: Path, version: ModelVersion, evaluation: Evaluation, recipe: Recipe) -> str:
    parts = ("transformer", "vae", "text_encoder", "text_encoder_2")
    return _ICONS.format(
        reference=version.reference,
        kinds=", ".join(KINDS),
        colours=", ".join(COLOURS),
        seen=review_notes(Path(__file__).parent, version.weights_digest),
        steps=recipe.scores.steps,
        guidance=evaluation.guidance,
        guidances=", ".join(evaluation.by_guidance),
        kind_probability=evaluation.kind_probability,
        agreement=evaluation.agreement,
        rows="\n".join(_row(name, score) for name, score in _scored(evaluation)),
        by_kind=_shares(evaluation.plain.strict_by_kind),
        by_colour=_shares(evaluation.plain.strict_by_colour),
        style=evaluation.styled.style,
        style_ceiling=evaluation.controls["fresh drawings"].style,
        by_guidance=_shares(evaluation.by_guidance),
        seconds=evaluation.seconds_per_image,
        word_count=len(version.vocabulary),
        recipe=json.dumps(asdict(recipe), indent=1),
        digest=version.weights_digest,
        megabytes=size_of(icons) / 1e6,
        **{part: digest_folder(icons / part) for part in parts},
    )


def _critic_card(critic: Path, version: ModelVersion, evaluation: Evaluation) -> str:
    return _CRITIC.format(
        reference=version.reference,
        kilobytes=(critic / WEIGHTS_FILE).stat().st_size / 1e3,
        digest=digest_file(critic / WEIGHTS_FILE),
        threshold=Critic.load(critic).threshold,
        count=evaluation.controls["fresh drawings"].count,
        **evaluation.critic.model_dump(),
    )


def _scored(evaluation: Evaluation) -> list[tuple[str, Score]]:
    return [
        ('model, "a COLOUR KIND"', evaluation.plain),
        ('model, "a STYLE COLOUR KIND"', evaluation.styled),
        ("model, 256 zero tokens", evaluation.long),
        *((f"control: {name}", score) for name, score in evaluation.controls.items()),
    ]


def _row(name: str, score: Score) -> str:
    figures = (score.kind, score.colour, score.lenient, score.strict)
    return f"| {name} | {score.count} | " + " | ".join(f"{value:.3f}" for value in figures) + " |"


def _shares(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())
