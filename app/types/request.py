"""One requested image, the words of its prompt, and the tags of its caller."""

import re
from functools import cached_property
from typing import Annotated

from pydantic import Field

from app.digest import digest, digest_bytes
from app.types.base import Pixels, Value
from app.types.fields import Digest, GuidanceScale, Priority, Sampler, Seed, Steps, Tier
from app.types.text_layer import TextLayer


class Tags(Value):
    """The caller's team and terms; never part of what is made."""

    team: str = ""
    residency: str = ""
    priority: Priority = 5
    labels: tuple[str, ...] = ()
    """The kind of asset, in the caller's own terms."""


class GenerationRequest(Value):
    """One requested image."""

    prompt: Annotated[str, Field(min_length=1, max_length=2000)]
    negative_prompt: Annotated[str, Field(max_length=2000)] = ""
    width: Pixels
    height: Pixels
    num_inference_steps: Steps
    guidance_scale: GuidanceScale
    sampler: Sampler = Sampler.EULER
    seed: Seed = 0
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How much of `init_image` is rendered again; at 0 it is kept and only text is set over it."""
    init_image: Digest | None = None
    mask_image: Digest | None = None
    text_layers: tuple[TextLayer, ...] = ()
    tier: Tier = Tier.FINAL
    tags: Tags = Tags()

    @cached_property
    def id(self) -> str:
        """Returns the digest of everything that decides the pixels; tier and tags do not."""
        return digest(self.model_dump(mode="json", exclude={"tier", "tags"}))

    @property
    def prompt_digest(self) -> str:
        """Returns the sha256 of the prompt's UTF-8 bytes."""
        return digest_bytes(self.prompt.encode())


def words(prompt: str) -> list[str]:
    """Returns the lower-case words of a prompt: runs of letters in any script."""
    return re.findall(r"[^\W\d_]+", prompt.lower())
