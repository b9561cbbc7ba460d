"""Broken plans: what is wrong stands on the line marked `#!`; each has exactly one fault.

An entry of ASSETS is one asset below a sound top. `broken_axes.py` has further assets,
`broken_files.py` whole files.
"""

from typing import NamedTuple


class Broken(NamedTuple):
    """The text, the path of the fault's field, and words that message and remedy must hold."""

    text: str
    field: str
    message: str
    remedy: str


TOP = """atelier: 1
name: test
bounds: {guidance_scale: [1, 8], axes: {palette: [warm, cold]}}
assets:
"""

BARE = "- name: gem\n  kind: icon\n  sizes: 64\n  "
TWO = BARE + "prompt: a {colour}\n  axes: {colour: [red, blue]}\n"
GEM = BARE + "prompt: a gem\n  "
NAMELESS = "- kind: icon\n  sizes: 64\n  prompt: a gem\n  "

ASSETS: dict[str, Broken] = {
    "unknown key": Broken(
        "- {name: gem, kind: icon, sizes: 64,\n   promt: a gem} #!",
        "promt",
        "not a known key",
        "did you mean prompt?",
    ),
    "key of another level": Broken(
        GEM + "max_assets: 3 #!",
        "max_assets",
        "not a known key",
        "move max_assets to the top of the plan",
    ),
    "key twice": Broken(
        GEM + "sizes: 32 #!",
        "sizes",
        "written twice",
        "keep one",
    ),
    "no prompt": Broken(
        "- {name: gem, kind: icon, sizes: 64} #!", "prompt", "missing", "add prompt"
    ),
    "no kind": Broken(
        "- {name: gem, prompt: a gem, sizes: 64} #!", "kind", "missing", "kind: icon"
    ),
    "no sizes": Broken(
        "- {name: gem, prompt: a gem, kind: icon} #!", "sizes", "missing", "[64x64]"
    ),
    "no name": Broken(
        "- {prompt: a gem, kind: icon, sizes: 64} #!", "name", "missing", "add name:"
    ),
    "unknown kind": Broken(
        "- name: gem\n  sizes: 64\n  prompt: a gem\n  kind: icno #!",
        "kind",
        "not known",
        "did you mean icon?",
    ),
    "path as name": Broken(
        NAMELESS + "name: ../../etc/passwd #!",
        "name",
        "looks like a path",
        "write etc-passwd",
    ),
    "hidden file as name": Broken(
        NAMELESS + "name: .gem #!",
        "name",
        "looks like a path",
        "write gem",
    ),
    "drive as name": Broken(
        NAMELESS + "name: 'C:\\gem' #!",
        "name",
        "looks like a path",
        "write c-gem",
    ),
    "reserved name": Broken(
        NAMELESS + "name: nul #!",
        "name",
        "Windows",
        "write nul-icon",
    ),
    "dotted reserved name": Broken(
        NAMELESS + "name: Con.png #!",
        "name",
        "Windows",
        "write con-png-icon",
    ),
    "name with capitals and spaces": Broken(
        NAMELESS + "name: Big Gem #!",
        "name",
        "not a plain name",
        "write big-gem",
    ),
    "name is a number": Broken(
        NAMELESS + "name: 7 #!",
        "name",
        "number where text",
        'quote it: "7"',
    ),
    "name too long with its values": Broken(
        f"- kind: icon\n  sizes: 64\n  prompt: a {{v}}\n  axes: {{v: [{'x' * 60}]}}\n"
        f"  name: {'g' * 70} #!",
        "name",
        "131 characters",
        "to at most 120 characters",
    ),
    "nothing behind a key": Broken(
        BARE + "prompt: #!",
        "prompt",
        "holds nothing",
        "remove it",
    ),
    "size out of bounds": Broken(
        "- name: gem\n  kind: icon\n  prompt: a gem\n  sizes: [64, 5000x64] #!",
        "sizes[1]",
        "too large",
        "at most 4096",
    ),
    "size of nothing": Broken(
        "- name: gem\n  kind: icon\n  prompt: a gem\n  sizes:\n  - {width: 0, height: 1} #!",
        "sizes[0].width",
        "too small",
        "at least 1",
    ),
    "no size": Broken(
        "- name: gem\n  kind: icon\n  prompt: a gem\n  sizes: big #!",
        "sizes",
        "not a size",
        "write 64x64",
    ),
    "size twice": Broken(
        "- name: gem\n  kind: icon\n  prompt: a gem\n  sizes: [64, 64x64] #!",
        "sizes",
        "64x64 twice",
        "once",
    ),
    "text for a number": Broken(
        GEM + "candidates: many #!",
        "candidates",
        "whole number",
        "digits",
    ),
    "quoted number": Broken(
        '- name: gem\n  kind: icon\n  sizes: 64\n  prompt: a gem\n  attempts: "9" #!',
        "attempts",
        "whole number",
        "without quotes",
    ),
    "half a step": Broken(
        GEM + "num_inference_steps: 4.5 #!",
        "num_inference_steps",
        "whole number",
        "digits",
    ),
    "truth for a number": Broken(
        GEM + "seed: yes #!",
        "seed",
        "whole number",
        "digits",
    ),
    "seed too large": Broken(
        GEM + "seed: 4294967296 #!",
        "seed",
        "too large",
        "at most 4294967295",
    ),
    "colour in words": Broken(
        GEM + "text_layers: [{text: Sale, colour: red}] #!",
        "text_layers[0].colour",
        "has an invalid form",
        "#[0-9a-f]{6}",
    ),
    "endless number": Broken(
        GEM + "guidance_scale: 1e999 #!",
        "guidance_scale",
        "a number",
        "such as 4 or 4.5",
    ),
    "text for a list": Broken(
        BARE + "prompt: a {c}\n  axes: {c: red} #!",
        "axes.c",
        "must be a list",
        "[red, green]",
    ),
    "list for keys": Broken(
        BARE + "prompt: a {c}\n  axes: [c, d] #!",
        "axes",
        "keys with values",
        "key: value",
    ),
    "unknown check": Broken(
        BARE + "prompt: a gem\n  rules: [{check: sharpnes, at_least: 1}] #!",
        "rules[0].check",
        "not known",
        "did you mean sharpness?",
    ),
    "rule on a measure that needs a reference image": Broken(
        GEM + "rules: [{check: likeness, at_least: 0.9}] #!",
        "rules[0]",
        "only against a reference image",
        "remove it",
    ),
    "rule without limit": Broken(
        GEM + "rules:\n  - check: border #!",
        "rules[0]",
        "no limit",
        "at_least:",
    ),
    "rule in percent": Broken(
        BARE + "prompt: a gem\n  rules:\n  - {check: agreement, at_least: 50} #!",
        "rules[0]",
        "never reach",
        "between 0 and 1",
    ),
    "rule that nothing satisfies": Broken(
        BARE + "prompt: a gem\n  rules:\n  - {check: coverage, at_least: 0.5, at_most: 0.1} #!",
        "rules[0]",
        "cannot be satisfied by any number",
        "not larger than at_most",
    ),
    "unknown verdict": Broken(
        BARE + "prompt: a gem\n"
        "  rules:\n  - check: border\n    at_most: 1\n    otherwise: rejct #!",
        "rules[0].otherwise",
        "not known",
        "did you mean reject?",
    ),
    "parameter out of bounds": Broken(
        GEM + "guidance_scale: 9 #!",
        "guidance_scale",
        "outside the plan's bounds",
        "at least 1 and at most 8",
    ),
    "value out of a closed set": Broken(
        BARE + "prompt: a {palette}\n  axes:\n    palette: [warm, clod] #!",
        "axes.palette[1]",
        "outside the plan's bounds",
        "did you mean cold?",
    ),
    "fewer attempts than candidates": Broken(
        GEM + "candidates: 4\n  attempts: 2 #!",
        "attempts",
        "fewer than the 4 candidates",
        "attempts: 4",
    ),
    "a reason that is never asked": Broken(
        GEM + "attempts: 2\n  candidates: 2\n  refine: reason #!",
        "refine",
        "no attempt follows",
        "attempts: 3",
    ),
    "unknown way to refine": Broken(
        GEM + "refine: reasons #!",
        "refine",
        "not known here",
        "did you mean reason?",
    ),
    "width without height": Broken(
        GEM + "width: 64 #!",
        "width",
        "without height",
        "add height:",
    ),
    "prompt too long": Broken(
        BARE + f"prompt: {'x' * 2001} #!",
        "prompt",
        "longer than 2000",
        "shorten it",
    ),
    "prompt too long with its values": Broken(
        BARE + f"axes: {{c: [{'y' * 40}]}}\n  prompt: '{'x' * 1990} {{c}}' #!",
        "prompt",
        "grows to 2031",
        "to at most 2000 characters",
    ),
    "control character": Broken(
        '- name: gem\n  kind: icon\n  sizes: 64\n  prompt: "a \\x07 gem" #!',
        "prompt",
        "invisible character",
        "remove it",
    ),
    "lone surrogate": Broken(
        '- name: gem\n  kind: icon\n  sizes: 64\n  prompt: "a \\ud800 gem" #!',
        "prompt",
        "invisible character",
        "remove it",
    ),
    "text that runs backwards": Broken(
        '- name: gem\n  kind: icon\n  sizes: 64\n  prompt: "a \\u202E gem" #!',
        "prompt",
        "invisible character",
        "remove it",
    ),
    "empty prompt": Broken(
        BARE + "prompt: ' ' #!",
        "prompt",
        "is empty",
        "at least one",
    ),
    "unknown residency": Broken(
        GEM + "tags: {residency: locale} #!",
        "tags.residency",
        "not known",
        "did you mean local?",
    ),
    "size that fits on no page": Broken(
        "- name: gem\n  kind: icon\n  prompt: a gem\n  sizes: 2048 #!",
        "sizes",
        "no atlas page",
        "pack.max_page_size",
    ),
    "no asset at all": Broken("- gem #!", "", "keys with values", "key: value"),
}


def marked_line(text: str) -> int:
    """The line of the mark, counted from 1."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if "#!" in line)


def asset_text(broken: Broken) -> str:
    """A whole file with this one asset."""
    return TOP + broken.text + "\n"
