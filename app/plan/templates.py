"""Text of a plan: normal form, templates with axis names in braces, slugs for names."""

import re
import unicodedata
from collections.abc import Collection, Mapping

from app.types.request import words

_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<axis>[a-z][a-z0-9_-]*)\}|[{}]")
_LINE_BREAKS_AND_TABS = "\n\r\t"
_JOINERS = "\u200c\u200d"
"""Zero-width characters that Persian, Indic scripts and emoji need."""
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"}
    | {f"{device}{number}" for device in ("com", "lpt") for number in range(10)}
)


def normalise(text: str) -> str:
    """Returns the text in Unicode form NFC with single spaces and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def forbidden(text: str) -> str:
    """Returns the first character that no plan may hold, "" when there is none.

    These are control characters, lone surrogates, and invisible ones such as text direction marks:
    two prompts that look alike would be two different requests.
    """
    allowed = _LINE_BREAKS_AND_TABS + _JOINERS
    return next(
        (sign for sign in text if unicodedata.category(sign) in ("Cc", "Cf", "Cs")
         and sign not in allowed),
        "",
    )  # fmt: skip


def has_stray_brace(template: str) -> bool:
    """Returns whether a brace is neither part of `{axis}` nor doubled to stand for itself."""
    return any(match.group() in ("{", "}") for match in _TOKEN.finditer(template))


def variables(template: str) -> tuple[str, ...]:
    """Returns the axis names that a template uses, each once, in order."""
    names = (match["axis"] for match in _TOKEN.finditer(template))
    return tuple(dict.fromkeys(name for name in names if name))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Returns the template with `{axis}` replaced by the axis' value and doubled braces by single.

    Values are inserted as they are, never read as templates. Raises KeyError for a missing axis.
    """

    def written(match: re.Match[str]) -> str:
        return values[match["axis"]] if match["axis"] else match.group()[0]

    return unicodedata.normalize("NFC", _TOKEN.sub(written, template))


def slug(text: str) -> str:
    """Returns the text as part of a name: no accents, lower case, other characters a hyphen.

    Keeps a-z, 0-9 and _. Contains no dot, so that dots separate the parts of a name. Raises
    ValueError for a letter or digit outside ASCII that has no plain form, and for a text without
    letters and digits.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    for sign in plain:
        if sign.isalnum() and not sign.isascii():
            raise ValueError(f"{sign!r} has no plain form in a-z and 0-9")
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    parts = re.sub(r"[^a-z0-9]+", lambda gap: "_" if gap.group() == "_" else "-", bare)
    if not parts.strip("-_"):
        raise ValueError("it has no letter a-z and no digit")
    return parts.strip("-_")


def path_like(name: str) -> bool:
    """Returns whether a name could be read as a file system path."""
    return name.startswith((".", "~")) or ".." in name or any(sign in name for sign in "/\\:")


def reserved(name: str) -> bool:
    """Returns whether Windows reserves the name for a device, whatever follows its first dot."""
    return name.casefold().split(".")[0].strip() in _RESERVED


def unknown_words(prompt: str, vocabulary: Collection[str]) -> tuple[str, ...]:
    """Returns the prompt's words outside the vocabulary, each once, in order, in lower case.

    An empty vocabulary means open vocabulary: every word is known.
    """
    if not vocabulary:
        return ()
    known = frozenset(vocabulary)
    return tuple(word for word in dict.fromkeys(words(prompt)) if word not in known)
