"""The models that ship with Atelier, and the folder of any version, without loading weights."""

from pathlib import Path

from app.digest import digest, digest_folder
from app.errors import DigestMismatch, ModelNotFound
from app.types import Digest, ModelVersion, Value

_STARTER = Path(__file__).parent / "starter"
FOLDERS = {
    "starter": _STARTER / "icons",
    "polish": _STARTER / "polish",
    "typography": _STARTER / "typography",
}
"""The bundled models by the reference a plan may write."""
VERSION = "version.json"
BASE = "base.json"
"""The file that names the base model, in the folder of a model that continues from another."""
REFUSED_SUFFIXES = (
    *(".bin", ".ckpt", ".dill", ".h5", ".joblib", ".keras", ".npy", ".npz", ".pickle", ".pkl"),
    *(".pt", ".pth", ".th", ".tar", ".zip"),
    *(".dll", ".dylib", ".exe", ".py", ".pyc", ".pyd", ".sh", ".so"),
)
"""Files that are code, or that some loader would run as code or unpack."""
CARD_FILES = frozenset({VERSION, "README.md", "sheet.png", "curves.json"})
"""Files of a model folder that describe it and are not part of its weights digest."""


class BaseModelReference(Value):
    """The model that another one continues from: its folder's name, next to the other's folder."""

    folder: str
    weights_digest: Digest


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


def bundled_models() -> dict[str, ModelVersion]:
    """Returns every model that ships with Atelier, by the reference a plan may write."""
    present = {name: folder for name, folder in FOLDERS.items() if (folder / VERSION).is_file()}
    return {name: read_version(folder) for name, folder in present.items()} | {"echo": ECHO}


def bundled_names() -> frozenset[str]:
    """Returns the names of bundled models, which no registered model may have."""
    return frozenset(bundled_models()) | {version.name for version in bundled_models().values()}


def folder_of(version: ModelVersion) -> Path:
    """Returns the folder of a version's files on this machine; raises ModelNotFound."""
    if version.folder:
        return _existing_folder(version)
    for folder in FOLDERS.values():
        if read_version(folder).weights_digest == version.weights_digest:
            return folder
    raise ModelNotFound(f"{version.reference} is not on this machine; install the same release")


def _existing_folder(version: ModelVersion) -> Path:
    folder = Path(version.folder)
    if not folder.is_dir():
        raise ModelNotFound(
            f"the files of {version.reference} are missing in {folder}; put them back, or register "
            f"their new folder: atelier models register FOLDER --name {version.name}"
        )
    return folder


def critic_folder_of(version: ModelVersion) -> Path | None:
    """Returns the folder of the critic with the version's vocabulary; None when it has none."""
    return folder_of(version).parent / version.critic if version.critic else None


def base_of(folder: Path) -> tuple[Path, ModelVersion] | None:
    """Returns the folder and version that a model continues from; None when it needs no other.

    Raises ModelNotFound when it is missing, DigestMismatch when its weights have changed.
    """
    file = folder / BASE
    if not file.is_file():
        return None
    base = BaseModelReference.model_validate_json(file.read_text())
    beside = folder.parent / Path(base.folder).name
    version = read_version(beside)
    if version.weights_digest != base.weights_digest:
        raise DigestMismatch(
            f"{folder} continues from weights {base.weights_digest[:12]}, and {beside} holds "
            f"{version.weights_digest[:12]}; restore those, or make the model again on these"
        )
    return beside, version


def read_version(folder: Path) -> ModelVersion:
    """Returns the version described in a model folder; raises ModelNotFound when there is none."""
    try:
        text = (folder / VERSION).read_text()
    except FileNotFoundError as exc:
        raise ModelNotFound(
            f"no version.json in {folder}; train or register the model first"
        ) from exc
    return ModelVersion.model_validate_json(text)


def weights_digest(folder: Path) -> str:
    """Returns the digest of all that decides a model's pixels: weights, configs, tokenizers."""
    return digest_folder(folder, exclude=CARD_FILES)


def refuse_code(folder: Path) -> None:
    """Raises ModelNotFound when the folder holds pickles or code, naming the files."""
    unsafe = sorted(p.name for p in folder.rglob("*") if p.suffix.lower() in REFUSED_SUFFIXES)
    if unsafe:
        raise ModelNotFound(
            f"{folder} holds files that can run code ({', '.join(unsafe[:3])}); "
            "convert the weights to safetensors and remove them"
        )
