"""A model version and the route that leads to it."""

from typing import Annotated

from pydantic import Field

from app.digest import digest
from app.types.base import Size, Value
from app.types.fields import PIPELINE_VERSION, Digest, Name
from app.types.hosted_model import HostedEndpoint


class ModelVersion(Value):
    """A model version: its identity, capabilities, defaults and location."""

    name: Name
    version: str
    family: str
    weights_digest: Digest
    licence: str
    source: str = ""
    latent_space: str = ""
    capabilities: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    """Every word it was trained on, lower case; empty when it takes any text."""
    sizes: tuple[Size, ...] = ()
    """The sizes it was trained at; empty when it takes any size."""
    num_inference_steps: int
    guidance_scale: float
    max_sequence_length: int
    seconds_per_image: Annotated[float, Field(gt=0)] | None = None
    """Measured on one CPU core at the default steps; for estimates before there is any history."""
    critic: str = ""
    """The folder of the image-text critic with the same vocabulary, beside the model's folder."""
    folder: str = ""
    """The path of its files on every machine that renders it; empty: they ship with Atelier."""
    hosted: HostedEndpoint | None = None
    """The address of the service that renders it, for a model without local files."""

    @property
    def reference(self) -> str:
        """Returns the resolved name that is recorded, never an alias: starter-icons/1."""
        return f"{self.name}/{self.version}"

    @property
    def residency(self) -> str:
        """Returns where its requests are sent: `local` (own machines) or `hosted`."""
        return "hosted" if self.hosted else "local"

    @property
    def backend(self) -> str:
        """Returns the name of the backend that renders it; part of every key."""
        if self.hosted:
            return "openai_images"
        return "echo" if self.family == "echo" else "engine"


class Route(Value):
    """The model version that answers a request, and the reason."""

    backend: str
    model: ModelVersion
    reason: str
    refused: tuple[str, ...] = ()

    def key(self, digest_of_what: str) -> str:
        """Returns the key of what this route makes of the request or spec with this digest."""
        return digest([digest_of_what, self.model.weights_digest, self.backend, PIPELINE_VERSION])
