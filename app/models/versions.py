"""Which models stand on this machine: read from their `version.json`, without loading weights."""

from pathlib import Path

from app.digest import digest, digest_folder
from app.errors import ModelNotFound
from app.types import ModelVersion

STARTER = Path(__file__).parent / "starter"
CARD_FILES = frozenset({"version.json", "README.md", "sheet.png"})
"""Files of a model folder that describe it and take no part in its weights digest."""

ECHO = ModelVersion(
    name="echo",
    version="1",
    family="echo",
    weights_digest=digest("echo: paints the prompt, no weights"),
    licence="Apache-2.0",
    source="app/backends/echo.py",
    capabilities=("text-to-image", "transparent"),
    num_inference_steps=1,
    guidance_scale=0,
    max_sequence_length=0,
)


def fleet() -> dict[str, ModelVersion]:
    """Every model by the reference a plan may write."""
    return {"starter": read_version(STARTER / "icons"), "echo": ECHO}


def read_version(folder: Path) -> ModelVersion:
    """A model folder's own description; raises ModelNotFound when there is none."""
    try:
        text = (folder / "version.json").read_text()
    except FileNotFoundError as exc:
        raise ModelNotFound(
            f"no version.json in {folder}; train or register the model first"
        ) from exc
    return ModelVersion.model_validate_json(text)


def weights_digest(folder: Path) -> str:
    """The digest of all that decides a model's pixels: weights, configs, tokenizers."""
    return digest_folder(folder, exclude=CARD_FILES)
