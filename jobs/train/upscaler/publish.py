"""Writes the upscaler's folder: weights in half precision, config, sheet and card."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from app.digest import digest_file
from app.models.upscaler import CONFIG_FILE, WEIGHTS_FILE, UpscalerConfig, UpscalerNetwork
from jobs.train.starter.card import review_notes
from jobs.train.starter.drawings import KINDS
from jobs.train.upscaler.figures import Figures, Looks
from jobs.train.upscaler.large import LargeFigures
from jobs.train.upscaler.learning import Recipe
from jobs.train.upscaler.likeness import Likeness
from jobs.train.weights import save_half

_CARD = """\
# The starter's upscaler

A small network that enlarges what starter-icons/1 paints four times: 64 x 64 to 256 x 256, RGBA
with straight alpha. It draws edges anew instead of stretching them. Licence: Apache-2.0. It was
trained from nothing on drawings that the recipe itself draws and on what starter-icons/1 makes of
them; no outside picture, text or weight went into it.

![Pictures of the starter, enlarged in three ways](sheet.png)

Two pictures a row, each three times: every pixel repeated, Lanczos, this network. The kinds in
turn, {kinds}, the colours in turn, each the first picture of its caption on the starter's own
sheet; nothing chosen by hand.

## What a person sees on the sheet

{seen}

## Use

```python
from pathlib import Path
from app.models.upscaler import load_upscaler

upscaler = load_upscaler(Path("app/models/starter/polish"))
large = upscaler.upscale(pixels)  # uint8 RGBA [h, w, 4] -> [4h, 4w, 4]
```

Any size goes in, and what comes out may go in again. The same bytes give the same bytes on one
device. What is clear stays clear. {seconds:.3f} s for 64 x 64 on one thread of the machine that
trained it.

## The base

It enlarges what starter-icons/1 paints, and learned from that model's pictures (weights
`{starter}`). It does not read the prompt and holds no part of that model.

## Figures

**Held-out drawings** ({held_out}, of every kind, colour and style, from seeds of their own), made
small and enlarged again. PSNR (dB) and SSIM are of the colour over middle grey, alpha is the mean
error in steps of 255. "Softened" went through the starter's autoencoder with noise on the latents;
"repainted" was noised by {strengths} and painted to the end by the whole starter.

| small side | enlarged by | PSNR | SSIM | alpha |
|---|---|---|---|---|
{likeness}

**Pictures of the starter** ({pictures}, "a COLOUR KIND", the seeds of its own sheet); there is no
true large picture of them. Half clear: pixels with an alpha of 16 to 239 for each pixel that is at
least half opaque, which tells how wide edges are. Haze: the same for an alpha of 1 to 15.
Agreement and accepted: the starter's critic, which reduces every picture to 64 x 64 before it
looks, so what it can tell is only that nothing was lost.

| pictures | half clear | haze | agreement | accepted |
|---|---|---|---|---|
{looks}

{large}

The critic learned from the same renderer, and so did the network: the figures say nothing about
pictures of another kind.

## Limits

- It knows the edges and surfaces of drawn icons with a clear background. What it makes of
  photographs, fine texture and letters was not looked at.
- It sharpens what is there and invents nothing: a smudged emblem becomes a smudge with a clean
  edge.
- It was trained at 64 to 256 only. Twice in a row, 64 to 1024, outlines stay crisp, but nothing is
  added and inner edges turn soft. At 2048 that shows: seen whole, a picture is clean and bold; seen
  at its own size it is the 64 pixel drawing under a lens, with outlines that wobble where the small
  picture had steps, grey wisps where they meet, soft inner edges, cloudy surfaces, and no detail
  that a 2048 pixel drawing has. Good for a large bold icon, not for an illustration.

## Recipe

```sh
python -m jobs dev train-upscaler
```

Drawings at 256 (painted eight times with shifts inside a pixel and averaged) and their small sides
-> L1 and squared error over black and over white, L1 of edges -> averaged weights. Seeds are part
of the settings; on one machine with one thread the same command gives the same weights.

```json
{recipe}
```

| part | digest or size |
|---|---|
| weights | `{digest}` |
| all | {kilobytes:.0f} kB, {parameters} parameters in half precision |
"""


_LARGE = """\
**At 2048 x 2048** ({pictures} pictures of the starter, those of the sheet): 64 to 256 to 1024,
shrunk to 512, and enlarged once more; drawn in pieces, each with all around it that the network can
see, so that there are no seams. Shrunk back to 64 x 64 as finishing shrinks, they are held against
the pictures as painted, and against the same done with Lanczos. {seconds:.1f} s of one core for a
picture, and {memory:.0f} MiB of memory at most.

| shrunk to 64 px | PSNR | SSIM | alpha |
|---|---|---|---|
{rows}"""


def large_figures_text(figures: LargeFigures) -> str:
    """Returns the card's section on images of 2048 pixels."""
    return _LARGE.format(
        pictures=figures.pictures,
        seconds=figures.seconds,
        memory=figures.memory_mib,
        rows="\n".join(
            f"| {name} | {likeness.psnr:.2f} | {likeness.ssim:.4f} | {likeness.alpha_error:.2f} |"
            for name, likeness in figures.kept.items()
        ),
    )


def save_network(network: UpscalerNetwork, config: UpscalerConfig, folder: Path) -> None:
    """Writes weights in half precision and the config, in the form that `load_upscaler` reads."""
    save_half(network, folder / WEIGHTS_FILE)
    text = json.dumps(config.as_json(), indent=2, sort_keys=True)
    (folder / CONFIG_FILE).write_text(text + "\n", "utf-8")


def write_folder(
    parts: Path, sheet: Path, figures: Figures, recipe: Recipe, starter: str, out: Path
) -> str:
    """Writes weights, config, sheet and card into `out`; other files there stay.

    `starter` is the digest of the weights that rendered the pairs. Returns the weights' digest.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        shutil.copy(parts / name, out / name)
    shutil.copy(sheet, out / "sheet.png")
    digest = digest_file(out / WEIGHTS_FILE)
    (out / "README.md").write_text(_card(out, figures, recipe, starter, digest), "utf-8")
    return digest


def _card(out: Path, figures: Figures, recipe: Recipe, starter: str, digest: str) -> str:
    network = UpscalerNetwork(recipe.network)
    return _CARD.format(
        kinds=", ".join(KINDS),
        seen=review_notes(Path(__file__).parent, digest),
        seconds=figures.seconds_per_picture,
        starter=starter,
        held_out=figures.held_out,
        strengths=" or ".join(f"{value:g}" for value in recipe.pairs.strengths),
        likeness="\n".join(
            _likeness_row(way, name, likeness)
            for way, by_method in figures.likeness.items()
            for name, likeness in by_method.items()
        ),
        pictures=figures.pictures,
        large=large_figures_text(figures.large),
        looks="\n".join(_looks_row(name, look) for name, look in figures.looks.items()),
        recipe=json.dumps(_settings(recipe), indent=1),
        digest=digest,
        kilobytes=(out / WEIGHTS_FILE).stat().st_size / 1e3,
        parameters=sum(value.numel() for value in network.parameters()),
    )


def _settings(recipe: Recipe) -> dict[str, object]:
    parts = {name: getattr(recipe, name) for name in ("pairs", "learning", "figures")}
    return {
        "network": recipe.network.as_json(),
        **{name: asdict(part) for name, part in parts.items()},
    }


def _likeness_row(way: str, name: str, row: Likeness) -> str:
    return f"| {way} | {name} | {row.psnr:.2f} | {row.ssim:.4f} | {row.alpha_error:.2f} |"


def _looks_row(name: str, look: Looks) -> str:
    figures = (look.half_clear, look.haze, look.agreement, look.accepted)
    return f"| {name} | " + " | ".join(f"{value:.3f}" for value in figures) + " |"
