"""Text of a plan: normalised once, templates with axis names in braces, slugs for names."""

import re
import unicodedata
from collections.abc import Collection, Mapping

from app.types.prompt_words import words

_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<axis>[a-z][a-z0-9_-]*)\}|[{}]")
_LINE_BREAKS_AND_TABS = "\n\r\t"
_JOINERS = "\u200c\u200d"
"""Zero-width characters that Persian, Indic scripts and emoji cannot do without."""
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"}
    | {f"{device}{number}" for device in ("com", "lpt") for number in range(10)}
)


def normalise(text: str) -> str:
    """The text in Unicode form NFC with single spaces and none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def forbidden(text: str) -> str:
    """The first character that no plan may hold, "" when there is none.

    Control characters, lone surrogates, and invisible ones such as text direction marks: two
    prompts that look alike would be two different requests.
    """
    allowed = _LINE_BREAKS_AND_TABS + _JOINERS
    return next(
        (sign for sign in text if unicodedata.category(sign) in ("Cc", "Cf", "Cs")
         and sign not in allowed),
        "",
    )  # fmt: skip


def has_stray_brace(template: str) -> bool:
    """Whether a brace is neither part of `{axis}` nor doubled to stand for itself."""
    return any(match.group() in ("{", "}") for match in _TOKEN.finditer(template))


def variables(template: str) -> tuple[str, ...]:
    """The axis names a template asks for, each once, in their order."""
    names = (match["axis"] for match in _TOKEN.finditer(template))
    return tuple(dict.fromkeys(name for name in names if name))


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with `{axis}` replaced by the axis' value and doubled braces by single ones.

    Values are put in as they are, never read as templates. Raises KeyError for a missing axis.
    """

    def written(match: re.Match[str]) -> str:
        return values[match["axis"]] if match["axis"] else match.group()[0]

    return unicodedata.normalize("NFC", _TOKEN.sub(written, template))


def slug(text: str) -> str:
    """The text as a part of a name: accents dropped, lower case, all but a-z, 0-9 and _ a hyphen.

    Holds no dot, so that dots separate the parts of a name. Raises ValueError for a letter or
    digit outside ASCII that has no plain form, and for a text without letters and digits.
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
    """Whether a name could lead somewhere in a file system."""
    return name.startswith((".", "~")) or ".." in name or any(sign in name for sign in "/\\:")


def reserved(name: str) -> bool:
    """Whether Windows keeps the name for a device, whatever follows its first dot."""
    return name.casefold().split(".")[0].strip() in _RESERVED


def unknown_words(prompt: str, vocabulary: Collection[str]) -> tuple[str, ...]:
    """The prompt's words outside the vocabulary, each once, in their order and in lower case.

    An empty vocabulary stands for open language: nothing is unknown to it.
    """
    if not vocabulary:
        return ()
    known = frozenset(vocabulary)
    return tuple(word for word in dict.fromkeys(words(prompt)) if word not in known)
