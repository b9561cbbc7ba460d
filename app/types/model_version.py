"""A model version and the route that leads to it."""

from typing import Annotated

from pydantic import Field

from app.digest import digest
from app.types.base import Size, Value
from app.types.fields import PIPELINE_VERSION, Digest, Name
from app.types.hosted_model import HostedEndpoint


class ModelVersion(Value):
    """A model as a measured good: what it is, what it can do, what it knows."""

    name: Name
    version: str
    family: str
    weights_digest: Digest
    licence: str
    source: str = ""
    latent_space: str = ""
    capabilities: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    """Every word it was trained on, lower case; empty when it knows open language."""
    sizes: tuple[Size, ...] = ()
    """The sizes it was trained at; empty when any size will do."""
    num_inference_steps: int
    guidance_scale: float
    max_sequence_length: int
    seconds_per_image: Annotated[float, Field(gt=0)] | None = None
    """As measured on one CPU core at the default steps, for estimates before any history."""
    critic: str = ""
    """The folder of the image-text critic that knows the same words, beside the model's own."""
    folder: str = ""
    """Where its files stand on every machine that renders it; empty: they ship with Atelier."""
    hosted: HostedEndpoint | None = None
    """Where it is reached when it has no files: somebody else's service renders it."""

    @property
    def reference(self) -> str:
        """The resolved name that is recorded, never an alias: starter-icons/1."""
        return f"{self.name}/{self.version}"

    @property
    def residency(self) -> str:
        """Where requests go that it answers: `local` is one's own machines, `hosted` is not."""
        return "hosted" if self.hosted else "local"

    @property
    def backend(self) -> str:
        """What renders it; part of the key of all it makes."""
        if self.hosted:
            return "openai_images"
        return "echo" if self.family == "echo" else "engine"


class Route(Value):
    """Which model version answers a request, and why."""

    backend: str
    model: ModelVersion
    reason: str
    refused: tuple[str, ...] = ()

    def key(self, digest_of_what: str) -> str:
        """The key of what this route makes of a request or spec: law 1."""
        return digest([digest_of_what, self.model.weights_digest, self.backend, PIPELINE_VERSION])
