"""Broken assets whose fault is in an axis, a template or an exclusion."""

from tests.plan.broken import BARE, GEM, TWO, Broken

AXES: dict[str, Broken] = {
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
}
