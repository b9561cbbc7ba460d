"""Broken plans: what is wrong stands on the line marked `#!`; each has exactly one fault.

An entry of ASSETS is one asset below a sound top; an entry of PLANS is a whole file.
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
    "empty axis": Broken(
        BARE + "prompt: a {c}\n  axes:\n    c: [] #!",
        "axes.c",
        "is empty",
        "at least one value",
    ),
    "bare no in an axis": Broken(
        GEM + "axes:\n    locale: [de, no] #!",
        "axes.locale[1]",
        "truth value",
        'quote it: "no"',
    ),
    "bare null in an axis": Broken(
        GEM + "axes:\n    locale: [de, null] #!",
        "axes.locale[1]",
        "holds nothing",
        'quote it: "null"',
    ),
    "axis value without letters": Broken(
        BARE + "prompt: a {c}\n  axes:\n    c: ['??'] #!",
        "axes.c[0]",
        "part of a name",
        "letters a-z or digits",
    ),
    "axis value in another script": Broken(
        BARE + "prompt: a {c}\n  axes:\n    c: [红] #!",
        "axes.c[0]",
        "no plain form",
        "letters a-z or digits",
    ),
    "values of one slug": Broken(
        BARE + "prompt: a {c}\n  axes:\n    c: [Red, red] #!",
        "axes.c[1]",
        "duplicate name",
        "differently",
    ),
    "axis name with capitals": Broken(
        BARE + "prompt: a {colour}\n  axes:\n    Colour: [red] #!",
        "axes.Colour",
        "not a plain axis name",
        "write colour",
    ),
    "template without axis": Broken(
        BARE + "axes: {colour: [red]}\n  prompt: a {color} gem #!",
        "prompt",
        "uses {color}",
        "did you mean {colour}?",
    ),
    "format tricks": Broken(
        BARE + "prompt: 'a {c.__class__} gem' #!",
        "prompt",
        "does not name an axis",
        "write {colour}",
    ),
    "axis that changes nothing": Broken(
        GEM + "axes:\n    c: [red] #!",
        "axes.c",
        "no text",
        "carry: [c]",
    ),
    "carried axis that is none": Broken(
        GEM + "axes: {locale: [de]}\n  carry: [local] #!",
        "carry[0]",
        "not an axis",
        "did you mean locale?",
    ),
    "excluded axis that is none": Broken(
        TWO + "  exclude:\n  - {color: red} #!",
        "exclude[0].color",
        "not an axis",
        "did you mean colour?",
    ),
    "excluded value that is none": Broken(
        TWO + "  exclude:\n  - colour: [red, bleu] #!",
        "exclude[0].colour[1]",
        "matches nothing",
        "did you mean blue?",
    ),
    "exclusion of everything": Broken(
        BARE + "prompt: a {c}\n  axes: {c: [red, blue]}\n  exclude: [{c: red}, {c: blue}] #!",
        "exclude",
        "excludes every row",
        "exclude less",
    ),
    "exclusion without axis": Broken(
        BARE + "prompt: a {c}\n  axes: {c: [red, blue]}\n  exclude:\n  - {} #!",
        "exclude[0]",
        "names no axis",
        "{colour: red}",
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

A_GEM = "- {name: gem, kind: icon, prompt: a gem, sizes: 64}\n"
PLANS: dict[str, Broken] = {
    "empty file": Broken("#!", "plan", "no keys", "begin with"),
    "only a word": Broken("potion #!", "plan", "no keys", "begin with"),
    "no assets": Broken("atelier: 1 #!\nname: test", "assets", "missing", "at least one asset"),
    "empty list of assets": Broken(
        "atelier: 1\nname: test\nassets: [] #!",
        "assets",
        "is empty",
        "at least one",
    ),
    "no version": Broken(f"name: test #!\nassets:\n{A_GEM}", "atelier", "missing", "atelier: 1"),
    "another version": Broken(
        f"atelier: 2 #!\nname: test\nassets:\n{A_GEM}",
        "atelier",
        "version",
        "write atelier: 1",
    ),
    "misspelt section": Broken(
        f"atelier: 1\nname: test\npakc: {{padding: 3}} #!\nassets:\n{A_GEM}",
        "pakc",
        "not a known key",
        "did you mean pack?",
    ),
    "defaults at the top": Broken(
        f"atelier: 1\nname: test\nsizes: [64] #!\nassets:\n{A_GEM}",
        "sizes",
        "not a known key",
        "move sizes to the defaults or an asset",
    ),
    "reversed bounds": Broken(
        f"atelier: 1\nname: test\nbounds:\n  width: [9, 3] #!\nassets:\n{A_GEM}",
        "bounds.width",
        "cannot be satisfied by any number",
        "not larger",
    ),
    "default out of bounds": Broken(
        "atelier: 1\nname: test\nbounds: {attempts: {at_most: 4}}\ndefaults:\n  attempts: 5 #!\n"
        f"assets:\n{A_GEM}{A_GEM.replace('gem', 'coin')}",
        "defaults.attempts",
        "outside the plan's bounds",
        "at most 4",
    ),
    "more than the declared maximum": Broken(
        "atelier: 1\nname: test\nmax_assets: 5 #!\nassets:\n"
        "- {name: a, kind: icon, sizes: 64, prompt: '{c} {d}', axes: {c: [1, 2, 3], d: [1, 2]}}",
        "max_assets",
        "less than the 6 assets",
        "max_assets: 6",
    ),
    "more than the maximum when none is declared": Broken(
        "atelier: 1\nname: test\nassets: #!\n- {name: a, kind: icon, sizes: 64, prompt: '{c}', "
        f"axes: {{c: {list(range(1001))}}}}}",
        "max_assets",
        "less than the 1001 assets",
        "max_assets: 1001",
    ),
    "product beyond the limit": Broken(
        "atelier: 1\nname: test\nassets:\n- name: a\n  kind: icon\n  sizes: 64\n"
        f"  prompt: '{{c}} {{d}}'\n  axes: {{c: &long {list(range(101))}, d: *long}} #!",
        "assets[0].axes",
        "10201 combinations",
        "--allow-large",
    ),
    "duplicate name": Broken(
        f"atelier: 1\nname: test\nassets:\n{A_GEM}"
        "- name: gem #!\n  kind: icon\n  prompt: another gem\n  sizes: 64",
        "assets[1].name",
        "duplicate name: gem is something else on line 4",
        "another name",
    ),
    "duplicate name among combinations": Broken(
        "atelier: 1\nname: test\ndefaults: {kind: icon, sizes: 64, prompt: 'a {c} gem'}\nassets:\n"
        "- {name: gem, axes: {c: [red, blue]}}\n"
        "- {name: gem, axes: {c: [green]}}\n"
        "- {name: gem, axes: {c: [black, blue]}, usage: shop} #!",
        "assets[2].name",
        "gem.blue is something else on line 5",
        "another name",
    ),
    "budget without a sum": Broken(
        f"atelier: 1\nname: test\nbudget: {{}} #!\nassets:\n{A_GEM}",
        "budget.usd",
        "missing",
        "such as 5.00",
    ),
    "budget below nothing": Broken(
        f"atelier: 1\nname: test\nbudget: {{usd: -1}} #!\nassets:\n{A_GEM}",
        "budget.usd",
        "too small",
        "at least 0",
    ),
    "budget as text": Broken(
        f"atelier: 1\nname: test\nbudget: {{usd: $5}} #!\nassets:\n{A_GEM}",
        "budget.usd",
        "must be a number",
        "write digits",
    ),
    "bare budget": Broken(
        f"atelier: 1\nname: test\nbudget: 5 #!\nassets:\n{A_GEM}",
        "budget",
        "must be keys with values",
        "usd",
    ),
    "drafts without a model": Broken(
        f"atelier: 1\nname: test\nbudget:\n  usd: 5\n  at_cap: draft #!\nassets:\n{A_GEM}",
        "budget.at_cap",
        "needs a draft model",
        "add draft_model",
    ),
    "draft model that is never asked": Broken(
        f"atelier: 1\nname: test\nbudget:\n  usd: 5\n  draft_model: echo #!\nassets:\n{A_GEM}",
        "budget.draft_model",
        "never used",
        "at_cap: draft",
    ),
    "more for drafts than there is": Broken(
        "atelier: 1\nname: test\nbudget:\n  usd: 5\n  at_cap: draft\n  draft_model: echo\n"
        f"  draft_usd: 6 #!\nassets:\n{A_GEM}",
        "budget.draft_usd",
        "more for drafts",
        "at most 5",
    ),
    "end of the budget misspelt": Broken(
        f"atelier: 1\nname: test\nbudget:\n  usd: 5\n  at_cap: stpo #!\nassets:\n{A_GEM}",
        "budget.at_cap",
        "not known",
        "did you mean stop?",
    ),
    "unknown key of a budget": Broken(
        f"atelier: 1\nname: test\nbudget: {{usd: 5, eur: 5}} #!\nassets:\n{A_GEM}",
        "budget.eur",
        "not a known key",
        "usd",
    ),
    "open model without a choice": Broken(
        f"atelier: 1\nname: test\nmodel: auto #!\nassets:\n{A_GEM}",
        "model",
        "no models are named to choose from",
        "route: {models: [starter]}",
    ),
    "choice that is never asked": Broken(
        f"atelier: 1\nname: test\nroute: {{models: [starter]}} #!\nassets:\n{A_GEM}",
        "route",
        "never used",
        "write model: auto",
    ),
    "model named twice to choose from": Broken(
        "atelier: 1\nname: test\nmodel: auto\nroute:\n  models: [starter, starter] #!\n"
        f"assets:\n{A_GEM}",
        "route.models[1]",
        "named twice",
        "each model once",
    ),
    "open model to choose from": Broken(
        f"atelier: 1\nname: test\nmodel: auto\nroute:\n  models: [auto] #!\nassets:\n{A_GEM}",
        "route.models[0]",
        "is not a model",
        "each model once",
    ),
    "confidence that nothing reaches": Broken(
        "atelier: 1\nname: test\nmodel: auto\n"
        f"route: {{models: [starter], confidence: 1}} #!\nassets:\n{A_GEM}",
        "route.confidence",
        "too large",
        "at most 0.999",
    ),
    "unknown key of a route": Broken(
        "atelier: 1\nname: test\nmodel: auto\n"
        f"route: {{models: [starter], confidance: 0.9}} #!\nassets:\n{A_GEM}",
        "route.confidance",
        "not a known key",
        "confidence",
    ),
    "rate of false accepts that is missing": Broken(
        f"atelier: 1\nname: test\naccept: {{confidence: 0.9}} #!\nassets:\n{A_GEM}",
        "accept.false_accepts",
        "missing",
        "add false_accepts:",
    ),
    "confidence that no calibration reaches": Broken(
        f"atelier: 1\nname: test\naccept: {{false_accepts: 0.01, confidence: 1}} #!\n"
        f"assets:\n{A_GEM}",
        "accept.confidence",
        "too large",
        "at most 0.999",
    ),
    "unknown key of acceptance": Broken(
        f"atelier: 1\nname: test\naccept: {{false_accept: 0.01}} #!\nassets:\n{A_GEM}",
        "accept.false_accept",
        "not a known key",
        "false_accepts",
    ),
    "rule on what is learned": Broken(
        "atelier: 1\nname: test\ndefaults:\n  rules: [{check: risk, at_most: 0.1}] #!\n"
        f"assets:\n{A_GEM}",
        "defaults.rules[0]",
        "learned, not measured",
        "accept: {false_accepts: 0.01}",
    ),
    "packed size that is never made": Broken(
        f"atelier: 1\nname: test\npack:\n  sizes: [64, 32] #!\nassets:\n{A_GEM}",
        "pack.sizes[1]",
        "not a size of any asset",
        "use one of 64x64",
    ),
    "bad indentation": Broken(
        "atelier: 1\nname: test\nassets:\n  - name: gem\n   kind: icon #!",
        "plan",
        "not YAML",
        "indentation",
    ),
    "tabs": Broken("atelier: 1\nassets:\n\t- name: gem #!", "plan", "not YAML", "spaces only"),
    "unquoted brace": Broken(
        "atelier: 1\nassets:\n- prompt: {colour} gem #!",
        "plan",
        "not YAML",
        "quote text",
    ),
    "two documents": Broken(
        f"atelier: 1\nname: test\nassets:\n{A_GEM}--- #!\nname: more",
        "plan",
        "not YAML",
        "",
    ),
    "python object": Broken(
        "atelier: 1\nname: !!python/object/apply:os.system [id] #!",
        "plan",
        "tag",
        "remove the tag",
    ),
    "unknown alias": Broken("atelier: 1\nname: *other #!", "plan", "undefined alias", ""),
    "impossible escape": Broken('atelier: 1\nname: "\\UFFFFFFFF" #!', "plan", "escape", "remove"),
    "list as key": Broken(
        f"atelier: 1\nname: test\nassets:\n{A_GEM}? [a, b] #!\n: c",
        "?",
        "not plain text",
        "a word",
    ),
    "too deep": Broken(
        "atelier: 1\nname: " + "[" * 40 + " #!", "plan", "nested deeper", "fewer levels"
    ),
}


def marked_line(text: str) -> int:
    """The line of the mark, counted from 1."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if "#!" in line)


def asset_text(broken: Broken) -> str:
    """A whole file with this one asset."""
    return TOP + broken.text + "\n"
