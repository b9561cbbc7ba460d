"""Shorthand: expands the short forms of a plan's values.

`64x64` and `64` are sizes, one size is a list of one, one excluded value too, `[4, 30]` is a range,
a path is a background or a brand.

Numbers among axis values become text exactly as written, so that 1.50 stays 1.50.
"""

import re
from collections.abc import Mapping

from app.digest import Json
from app.plan.yaml_document import Path, SourceLocation, YamlDocument

_SIZE = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")


def expand_shorthand(document: YamlDocument) -> Json:
    """Returns the document's data without shorthand; the paths of written values stay."""
    return _written_out(document.data, (), document.places)


def _written_out(value: Json, path: Path, places: Mapping[Path, SourceLocation]) -> Json:
    if isinstance(value, Mapping):
        return {key: _written_out(item, (*path, key), places) for key, item in value.items()}
    if isinstance(value, list) and _is_range(path) and len(value) == 2:
        return {"at_least": value[0], "at_most": value[1]}
    if isinstance(value, list):
        return [_written_out(item, (*path, at), places) for at, item in enumerate(value)]
    if "axes" in path or "exclude" in path:
        text = _as_text(value, path, places)
        return [text] if path[-2:-1] and path[-3:-2] == ("exclude",) else text
    if path == ("brand",) and isinstance(value, str):
        return {"file": value}
    if path[0] == "brand":
        return value
    if path[-1] == "background" and value is not None and not isinstance(value, list):
        return {"file": value}
    if path[-1] == "sizes" and value is not None:
        return [_size(value)]
    return _size(value) if path[-2:-1] == ("sizes",) else value


def _is_range(path: Path) -> bool:
    if path == ("brand", "framing", "share"):
        return True
    return len(path) == 2 and path[0] == "bounds" and path[1] != "axes"


def _as_text(value: Json, path: Path, places: Mapping[Path, SourceLocation]) -> Json:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return places[path].text if is_number else value


def _size(value: Json) -> Json:
    """Returns a size by its keys when it is written short, else the value unchanged."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"width": value, "height": value}
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return {"width": int(match[1]), "height": int(match[2])} if match else value
