"""YAML document: a plan's YAML as plain data with source locations. Does not know plans.

The reader supports less than YAML: no tags, so that only text, numbers, booleans, lists and
mappings are constructed; depth and the number of values are limited, with aliases written out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from app.digest import Json
from app.errors import Fault
from app.plan.templates import forbidden

Path: TypeAlias = tuple[str | int, ...]

MAX_DEPTH = 20
MAX_VALUES = 50_000

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE|yes|Yes|YES|on|On|ON")
_FALSE = re.compile(r"false|False|FALSE|no|No|NO|off|Off|OFF")
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(
    r"[-+]?([0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9](?=[eE]))([eE][-+]?[0-9]{1,3})?"
)
_MAX_SHOWN = 60
_SYNTAX = (
    "check the indentation (spaces only), quotes, brackets and colons; "
    "quote text that begins with { or [ or holds a colon"
)


class UnreadableYaml(Exception):
    """The text is not YAML of the supported kind; reading stopped at this line."""

    def __init__(self, line: int, message: str, remedy: str) -> None:
        super().__init__(message)
        self.line, self.message, self.remedy = line, message, remedy


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """The position of a value, counted from 1, and its text, shortened."""

    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class PlanFault:
    """A fault at the path of the invalid value; value and place are looked up unless given."""

    path: Path
    message: str
    remedy: str
    value: str | None = None
    place: SourceLocation | None = None


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """The data, the place of each of its parts, and the faults of single values.

    A value with a fault is None in the data.
    """

    data: Json
    places: dict[Path, SourceLocation] = field(default_factory=dict)
    plan_faults: list[PlanFault] = field(default_factory=list)

    def written(self, path: Path) -> Path:
        """Returns the path, or the nearest part around it that was written."""
        return next(path[:end] for end in range(len(path), -1, -1) if path[:end] in self.places)

    def place(self, path: Path) -> SourceLocation:
        """Returns the place of what is written at the path or around it."""
        return self.places[self.written(path)]

    def faults(self, faults: Sequence[PlanFault], file: str) -> tuple[Fault, ...]:
        """Returns the faults in the order of the file, each once."""
        placed = [(fault.place or self.place(fault.path), fault) for fault in dict.fromkeys(faults)]
        return tuple(
            Fault(
                file=file,
                line=place.line,
                field=format_path(fault.path),
                value=place.text if fault.value is None else fault.value,
                message=fault.message,
                remedy=fault.remedy,
            )
            for place, fault in sorted(placed, key=lambda pair: (pair[0].line, pair[0].column))
        )


def format_path(path: Path) -> str:
    """Returns the path as text: assets[0].axes.colour[1]."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "plan"


def read_document(text: str) -> YamlDocument:
    """Returns the YAML document in the text; raises UnreadableYaml when there is none."""
    root = _composed(text)
    if not isinstance(root, yaml.MappingNode):
        line = root.start_mark.line + 1 if root else 1
        raise UnreadableYaml(line, "has no keys with values", "begin with the line atelier: 1")
    reader = _Reader(text)
    data = reader.value(root, ())
    return YamlDocument(data, reader.places, reader.complaints)


def _composed(text: str) -> yaml.Node | None:
    """Returns the node graph; every error of PyYAML becomes UnreadableYaml."""
    try:
        _guard(text)
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "it cannot be read"
        raise UnreadableYaml(
            mark.line + 1 if mark else 1, f"is not YAML: {what}", _SYNTAX
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"holds the character {chr(error.character)!a}, which is not allowed in text"
        raise UnreadableYaml(line, message, "remove it") from error
    return node


def _guard(text: str) -> None:
    """Checks the events before any data is built: no tags, not too deep, not too many."""
    depth = values = line = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1 if event.start_mark else line
            starts = isinstance(event, yaml.CollectionStartEvent)
            depth += starts - isinstance(event, yaml.CollectionEndEvent)
            values += starts or isinstance(event, yaml.ScalarEvent | yaml.AliasEvent)
            if values > MAX_VALUES:
                raise too_many(line)
            if depth > MAX_DEPTH:
                raise UnreadableYaml(
                    line, f"is nested deeper than {MAX_DEPTH} levels", "use fewer levels"
                )
            tag = getattr(event, "tag", None)
            if tag is not None:
                remedy = "remove the tag, or quote the text if the ! is meant"
                raise UnreadableYaml(line, f"has the YAML tag {tag}", remedy)
    except (ValueError, OverflowError) as error:
        message = "is not YAML: an escape is not a character"
        raise UnreadableYaml(
            max(line, 1), message, "remove the escape on this line or below"
        ) from error


def too_many(line: int) -> UnreadableYaml:
    """Returns the error for more values than any plan needs, perhaps by aliases of aliases."""
    message = f"holds more than {MAX_VALUES} values, aliases written out"
    return UnreadableYaml(line, message, "use axes instead of single assets, or split the plan")


class _Reader:
    """One traversal of the nodes."""

    def __init__(self, text: str) -> None:
        self.places: dict[Path, SourceLocation] = {}
        self.complaints: list[PlanFault] = []
        self._text = text
        self._values = 0

    def value(self, node: yaml.Node, path: Path) -> Json:
        """Returns the node's data; records its place unless its key's was recorded."""
        self._values += 1
        if self._values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise too_many(node.start_mark.line + 1)
        self.places.setdefault(path, self._place(node, node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._mapping(node, path)

    def _place(self, start: yaml.Node, node: yaml.Node) -> SourceLocation:
        written = self._text[node.start_mark.index : node.end_mark.index]
        return SourceLocation(
            start.start_mark.line + 1, start.start_mark.column + 1, shorten(written)
        )

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Json]:
        data: dict[str, Json] = {}
        for key, item in node.value:
            place = self._place(key, item)
            if not isinstance(key, yaml.ScalarNode) or forbidden(key.value):
                self._add_fault(
                    (*path, "?"), "is a key that is not plain text", "write a word", place
                )
            elif key.value in data:
                message, remedy = "is written twice", "keep one of the two"
                self._add_fault((*path, key.value), message, remedy, place)
            else:
                self.places[*path, key.value] = place
                data[key.value] = self.value(item, (*path, key.value))
        return data

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Json:
        text: str = node.value
        sign = forbidden(text)
        if sign:
            message = f"holds the invisible character {sign!a}"
            self._add_fault(path, message, "remove it", value=ascii(shorten(text)))
            return None
        if node.style is not None:
            return text
        if _NULL.fullmatch(text):
            remedy = "give it a value or remove it"
            remedy += f'; if the word is meant, quote it: "{text}"' if text else ""
            self._add_fault(path, "holds nothing", remedy, value=text or "nothing")
            return None
        return _plain(text)

    def _add_fault(
        self,
        path: Path,
        message: str,
        remedy: str,
        place: SourceLocation | None = None,
        value: str | None = None,
    ) -> None:
        self.complaints.append(PlanFault(path, message, remedy, value, place))


def _plain(text: str) -> Json:
    """Returns the value of unquoted text; numbers are decimal only, 007 and 1:30 are text."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return _TRUE.fullmatch(text) is not None
    return text


def shorten(text: str) -> str:
    """Returns the text on one line, truncated when long."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 3]}..."
