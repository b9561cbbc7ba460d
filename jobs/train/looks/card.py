"""Writes the appearance model's folder: weights in half precision, config and model card."""

import json
from dataclasses import asdict
from pathlib import Path

from app.check.looks import CONFIG_FILE, WEIGHTS_FILE, AppearanceConfig
from app.check.networks import AppearanceNetwork
from app.digest import digest_file
from jobs.train.looks.figures import LooksFigures
from jobs.train.looks.learning import Recipe
from jobs.train.starter.captions import SYNONYMS
from jobs.train.starter.drawings import COLOURS, STYLES
from jobs.train.weights import save_half

_CARD = """\
# Looks of {starter}

A small network that answers five questions of a picture: is it in the style that its prompt
names (`style`), are its colours those of a thing in the named colour (`on_model`), was it painted
to the end (`finished`), is it crisp (`crisp`), and is its subject whole, in the middle and of a
fair size (`composition`). Each answer is a probability from 0 to 1; low is bad. Licence:
Apache-2.0. {kilobytes:.0f} kB, digest `{digest}`.

## What it learned from

{drawn} drawings of the starter's own recipe and {painted} pictures that {starter} painted, from
seeds of the defect world's training part (world {world}), spoilt by that world's injectors at
three severities; and {painted} pictures each that {starter} left after one, two and three
unguided steps. No outside picture, text or weight went into it. World {held_out_world} is for this
card; worlds of the evaluation part were never seen.

## Held-out figures

By the limits of `app/check/limits.py`. Refused though good:

| pictures | count | any rule | {rules} |
|---|---|---|{dashes}
{refused}

Found, by severity (precision among as many good pictures as spoilt ones):

| defect | of | recall: 1 | 2 | 3 | precision: 2 |
|---|---|---|---|---|---|
{found}

`few_steps` 1, 2, 3: pictures of three, two steps and one. The injectors are those it learned
from, on other pictures: a defect that looks otherwise may well pass. `crisp` was shown bands, JPEG
blocks, blotches and grain as well and learned blur alone; other measures see those.

## Limits

- It knows drawings of {starter}'s look at 64 x 64, and no other model's. Larger pictures are
  brought to 64 x 64 first, so that fine marks of a large picture are not seen.
- Where a prompt names no style, `style` is 1; where it names no colour, `on_model` is that of the
  likeliest colour.
- Each picture goes through the network alone, so its numbers do not depend on the others.

## Recipe

```sh
python -m jobs dev train-looks
```

```json
{recipe}
```
"""


def save_looks(network: AppearanceNetwork, folder: Path) -> None:
    """Writes weights and config in the form that `AppearanceModel.load` reads."""
    save_half(network, folder / WEIGHTS_FILE)
    config = AppearanceConfig(
        styles={name: (name, *SYNONYMS.get(name, ())) for name in STYLES},
        colours={name: (name, *SYNONYMS.get(name, ())) for name in COLOURS},
    )
    (folder / CONFIG_FILE).write_text(json.dumps(config.as_json(), indent=2) + "\n", "utf-8")


def write_card(folder: Path, starter: str, figures: LooksFigures, recipe: Recipe) -> None:
    """Writes the model card, README.md, into `folder`, which must hold the weights."""
    pictures = recipe.pictures
    rules = list(figures.refused[0].by_rule)
    text = _CARD.format(
        starter=starter,
        kilobytes=(folder / WEIGHTS_FILE).stat().st_size / 1e3,
        digest=digest_file(folder / WEIGHTS_FILE),
        drawn=pictures.drawn,
        painted=pictures.painted,
        world=pictures.world,
        held_out_world=pictures.held_out_world,
        rules=" | ".join(rules),
        dashes="---|" * len(rules),
        refused="\n".join(
            f"| {refusal.source} | {refusal.count} | {refusal.share:.1%} | "
            + " | ".join(f"{refusal.by_rule[rule]:.1%}" for rule in rules)
            + " |"
            for refusal in figures.refused
        ),
        found="\n".join(_rows(figures)),
        recipe=json.dumps(asdict(recipe), indent=1),
    )
    (folder / "README.md").write_text(text, "utf-8")


def _rows(figures: LooksFigures) -> list[str]:
    rows = []
    for defect in dict.fromkeys(row.defect for row in figures.found):
        of_defect = (row for row in figures.found if row.defect == defect)
        mild, medium, severe = sorted(of_defect, key=lambda row: row.severity)
        recalls = " | ".join(f"{row.recall:.0%}" for row in (mild, medium, severe))
        rows.append(f"| {defect} | {medium.count} | {recalls} | {medium.precision:.0%} |")
    return rows
