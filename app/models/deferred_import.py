"""Deferred imports: a package that a library imports and rarely uses loads at its first use."""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class _DeferredModule(ModuleType):
    """Stands in `sys.modules` for a package until one of its attributes is read.

    `importlib.util.LazyLoader` would load it at the next `import` statement: that reads `__spec__`.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # a submodule's import asks for that
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def defer_imports(*packages: str) -> None:
    """Loads installed packages at their first use instead; `import` and `from` work as before."""
    for package in packages:
        if package in sys.modules or (spec := _spec(package)) is None:
            continue
        sys.modules[package] = module = _DeferredModule(package)
        module.__spec__ = spec


def _spec(package: str) -> ModuleSpec | None:
    try:
        return find_spec(package)
    except ModuleNotFoundError:  # `find_spec` imports what the package is a part of
        return None
