"""Hides Serve's list of applications, `/-/routes`, which Serve's proxy shows without a key.

The proxy runs `middlewares` if RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH in the environment of
`ray start` names this module, as in `cluster.yaml`. Nothing slow is imported here.
"""

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HIDDEN = frozenset({"/-/routes"})


class HiddenRoutes:
    """Passes on every call but those to hidden paths, which get 403."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a call; passes on everything but HTTP."""
        hidden = scope["type"] == "http" and scope["path"] in HIDDEN
        app = PlainTextResponse("not public\n", status_code=403) if hidden else self._app
        await app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """Returns the middleware that Serve's proxy runs for every call."""
    return [Middleware(HiddenRoutes)]
