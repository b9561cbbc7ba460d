"""The address of a hosted model: a service that implements OpenAI's images API."""

import re
from datetime import date
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator

from app.types.base import Value

ASKED = frozenset(
    {
        *("model", "prompt", "n", "size", "background", "seed", "steps", "guidance", "sampler"),
        *("negative_prompt", "text_layers", "stream", "partial_images", "user", "image", "mask"),
    }
)
"""Fields of a call that follow from version and request; no option may set them."""
_URL = re.compile(r"(?:https|http)://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?(?:/[\w.~/-]*)?")
_WORD = r"^[\x21-\x7e]{1,200}$"


class HostedEndpoint(Value):
    """The address of a hosted version and the fixed fields of every call to it."""

    url: str
    """The base URL, as OpenAI's own client takes it: https://api.openai.com/v1."""
    model: Annotated[str, StringConstraints(pattern=_WORD)]
    """The provider's name for the model."""
    options: Annotated[tuple[tuple[str, str], ...], Field(max_length=16)] = ()
    """Further fields of every call, sorted by name: quality, moderation ..."""
    until: date | None = None
    """The last day (UTC) on which the provider serves it, where one was announced."""

    @field_validator("url", mode="after")
    @classmethod
    def _private(cls, url: str) -> str:
        """Refuses URLs that would send prompts and keys unencrypted to another machine.

        All URL parsers must see the same host in it, so it may hold nothing that they disagree
        about.
        """
        if not _URL.fullmatch(url):
            raise ValueError("it is not a plain URL; write it as in https://api.openai.com/v1")
        if url.startswith("http:") and not _loopback(urlsplit(url).hostname or ""):
            raise ValueError("keys would travel unencrypted; write https://")
        return url.rstrip("/")

    @field_validator("options", mode="after")
    @classmethod
    def _free(cls, options: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        taken = sorted({name for name, _ in options} & ASKED)
        if taken:
            raise ValueError(f"{', '.join(taken)} follows from the request; leave the option out")
        return tuple(sorted(dict(options).items()))

    @property
    def host(self) -> str:
        """Returns the host a key belongs to: api.openai.com, or 127.0.0.1:8000."""
        return urlsplit(self.url).netloc

    @property
    def generations(self) -> str:
        """Returns the URL that generates images."""
        return f"{self.url}/images/generations"


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
