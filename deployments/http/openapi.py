"""The OpenAPI document at present: it asks for a key as long as one is required."""

from typing import Any

from fastapi import FastAPI

from deployments.http.auth import Keys, is_open

SCHEME = "key"


class DocumentedApp(FastAPI):
    """An application whose document says which endpoints need a key, when `keys` are required."""

    def __init__(self, *, keys: Keys, **options: Any) -> None:
        super().__init__(**options)
        self._keys = keys

    def openapi(self) -> dict[str, Any]:
        """Returns the document; FastAPI calls this for every request of its endpoint."""
        document = super().openapi()
        return _secured(document) if self._keys.required else document


def _secured(document: dict[str, Any]) -> dict[str, Any]:
    scheme = {"type": "http", "scheme": "bearer", "description": "atelier keys add NAME makes one"}
    components = document.get("components", {}) | {"securitySchemes": {SCHEME: scheme}}
    paths = {
        path: {method: door | {"security": _security(path)} for method, door in doors.items()}
        for path, doors in document["paths"].items()
    }
    return document | {"components": components, "paths": paths}


def _security(path: str) -> list[dict[str, list[str]]]:
    return [] if is_open(path) else [{SCHEME: []}]
