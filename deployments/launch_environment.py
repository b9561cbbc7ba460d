"""Sets what Ray reads from the environment when it is imported; does not import Ray."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory


@contextmanager
def ray_environment() -> Iterator[Path]:
    """Yields a private folder for Ray's sockets, logs and token, and sets Ray's environment.

    Ray asks for the token in every call, and its own sockets stay on loopback, on Linux as they do
    elsewhere. With `RAY_ADDRESS` set nothing is changed: the cluster's own settings apply.
    """
    with TemporaryDirectory(prefix="atelier-", ignore_cleanup_errors=True) as folder:
        if not os.environ.get("RAY_ADDRESS"):
            token = Path(folder) / "token"
            token.touch(mode=0o600)  # Ray's own file would be readable by everybody
            token.write_text(token_hex(32))
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
            os.environ.pop("RAY_AUTH_TOKEN", None)
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        yield Path(folder)
