"""The registry: names, versions, digests and figures of models in MLflow, imported only here.

MLflow holds no weights, and its loaders are never called: they can run code stored beside a model.
A version is complete in one write, as searchable tags; images and results of golden runs are
artifacts of runs.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.digest import canonical_json
from app.errors import ModelNotFound, RegistryError
from app.settings import Settings
from app.types import ModelVersion
from app.types.registered_version import GoldenResult, RegisteredVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as Row

EXPERIMENT = "atelier"
"""The experiment with the runs that measured or showed a version."""
_MODEL, _FOLDER, _ROLE = "atelier.model", "atelier.folder", "role"
_GOLDEN, _GOLDEN_RUN = "atelier.golden", "atelier.golden_run"
_MAX_RESULTS = 10_000
_ALIAS_TRIES = 3
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Sends no data to anyone but the named server, and reports a dead server soon."""


def open_registry(settings: Settings) -> "Registry":
    """Returns the registry of the settings; creates a SQLite file when needed, in some seconds.

    Raises RegistryError for another kind of URI, when no server answers, or without MLflow.
    """
    if find_spec("mlflow") is None:
        raise RegistryError(
            "the registry of models needs mlflow, which is not installed; "
            "run: pip install 'atelier[registry]'"
        )
    uri = settings.registry
    scheme = uri.partition(":")[0]
    if scheme not in ("sqlite", "http", "https"):
        raise RegistryError(
            f"MLFLOW_TRACKING_URI has the scheme {scheme!r}, which cannot be opened here; give an "
            "MLflow server as http://127.0.0.1:5000 or a file as sqlite:////absolute/file"
        )
    artifacts = None
    if scheme == "sqlite":
        settings.home.mkdir(parents=True, exist_ok=True)
        artifacts = (settings.home / "mlflow").as_uri()
    with _explained(uri):
        return Registry(_client(uri), uri, artifacts)


class Registry:
    """The client of one registry; made by `open_registry`.

    Every method raises RegistryError when MLflow fails. `artifacts` is where images are stored;
    None leaves it to the server.
    """

    def __init__(self, client: "MlflowClient", uri: str, artifacts: str | None) -> None:
        self._client, self._uri, self._artifacts = client, uri, artifacts

    def register(
        self, model: ModelVersion, *, role: str = "", examples: Mapping[str, bytes] | None = None
    ) -> RegisteredVersion:
        """Returns the version with these weights under the model's name; creates it when needed.

        Safe to repeat, also from several processes at once: the first one stays, and only its
        folder is updated. The version number of `model` is ignored: the registry assigns it.
        """
        with _explained(self._uri):
            self._ensure_name(model.name)
            standing = self._with_weights(model)
            if not standing:
                made = self._create(model, role)
                standing = self._with_weights(model)
                if standing[0].version != made.version:  # another process was first
                    self._client.delete_model_version(made.name, str(made.version))
            first = standing[0]
            self._client.set_model_version_tag(
                first.name, str(first.version), _FOLDER, model.folder
            )
            version = self.version(f"{first.name}/{first.version}")
            if examples:
                self._run(version.reference, "examples", examples)
        return version

    def version(self, reference: str) -> RegisteredVersion:
        """Returns the version behind `name/number`. Raises ModelNotFound with the known ones."""
        name, slash, number = reference.partition("/")
        known = {version.reference: version for version in self.versions(name)} if slash else {}
        if reference in known:
            return known[reference]
        if known:
            raise ModelNotFound(f"{name} has no version {number!r}; it has {', '.join(known)}")
        near = get_close_matches(
            name, {version.model.name for version in self.versions()}, n=3, cutoff=0
        )
        advice = f"did you mean {', '.join(near)}?" if near else "register one first"
        raise ModelNotFound(f"no registered model {reference!r}; {advice}")

    def versions(self, name: str | None = None) -> list[RegisteredVersion]:
        """Returns every version, of one name or of all, by name and number."""
        with _explained(self._uri):
            return [_version(row) for row in self._rows(name)]

    def record(self, golden: GoldenResult, pictures: Mapping[str, bytes]) -> None:
        """Records a golden result as a run, for the history, and as tags of its version."""
        name, _, number = golden.reference.partition("/")
        files = dict(pictures) | {"golden.json": canonical_json(golden.as_json())}
        with _explained(self._uri):
            run = self._run(golden.reference, "golden", files, golden)
            text = canonical_json(golden.as_json()).decode()
            for tag, value in {_GOLDEN_RUN: run, **_figures(golden), _GOLDEN: text}.items():
                self._client.set_model_version_tag(name, number, tag, value)

    def history(self, reference: str) -> list[GoldenResult]:
        """Returns every golden result of a version, the newest first."""
        with _explained(self._uri):
            runs = self._client.search_runs(
                [self._experiment()],
                f"tags.kind = 'golden' and tags.version = '{_plain(reference)}'",
                max_results=1000,
            )
            return [
                GoldenResult.model_validate_json(run.data.tags[_GOLDEN])
                for run in runs
                if _GOLDEN in run.data.tags
            ]

    def mirror(self, name: str, alias: str, number: str) -> None:
        """Makes MLflow show where an alias points; only the catalog's pointer decides.

        Retries, because four writers on one SQLite file have been seen to fail in setting an alias.
        """
        from mlflow.exceptions import MlflowException

        with _explained(self._uri):
            for last in (*[False] * (_ALIAS_TRIES - 1), True):
                try:
                    return self._client.set_registered_model_alias(name, alias, number)
                except MlflowException:
                    if last:
                        raise

    def mirrored_alias(self, name: str, alias: str) -> str | None:
        """Returns where MLflow shows the alias; None when it shows none."""
        with _explained(self._uri):
            number = self._client.get_registered_model(name).aliases.get(alias)
            return None if number is None else f"{name}/{number}"

    def _ensure_name(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _with_weights(self, model: ModelVersion) -> "list[Row]":
        rows = self._rows(model.name)
        return [row for row in rows if row.tags["weights_digest"] == model.weights_digest]

    def _create(self, model: ModelVersion, role: str) -> "Row":
        return self._client.create_model_version(
            model.name, source=f"sha256:///{model.weights_digest}", tags=_tags(model, role)
        )

    def _rows(self, name: str | None) -> "list[Row]":
        """Returns the versions that Atelier registered; others on the same server lack its tag."""
        query = "" if name is None else f"name = '{_plain(name)}'"
        rows: list[Row] = []
        token: str | None = None
        while True:
            page = self._client.search_model_versions(query, _MAX_RESULTS, page_token=token)
            rows += [row for row in page if _MODEL in row.tags]
            token = page.token
            if not token:
                return sorted(rows, key=lambda row: (row.name, int(row.version)))

    def save_run(
        self,
        kind: str,
        name: str,
        *,
        tags: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> str:
        """Saves a finished run of this kind with all that is given; returns its id."""
        from mlflow.entities import Metric, Param

        now = int(datetime.now(UTC).timestamp() * 1000)
        all_tags = {"kind": kind, "mlflow.runName": name} | dict(tags)
        with _explained(self._uri):
            run: str = self._client.create_run(self._experiment(), tags=all_tags).info.run_id
            self._client.log_batch(
                run,
                metrics=[Metric(key, value, now, 0) for key, value in (metrics or {}).items()],
                params=[Param(key, value) for key, value in (params or {}).items()],
            )
            self._log_files(run, files or {})
            self._client.set_terminated(run)
        return run

    def tagged_runs(self, kind: str, **tags: str) -> dict[str, dict[str, str]]:
        """Returns the tags of stored runs of this kind with these tags, by run id, newest first."""
        asked = {"kind": kind} | tags
        query = " and ".join(f"tags.{key} = '{_plain(text)}'" for key, text in asked.items())
        tags_by_run: dict[str, dict[str, str]] = {}
        token: str | None = None
        while True:
            with _explained(self._uri):
                page = self._client.search_runs(
                    [self._experiment()], query, max_results=1000, page_token=token
                )
            tags_by_run |= {run.info.run_id: dict(run.data.tags) for run in page}
            token = page.token
            if not token:
                return tags_by_run

    def amend(
        self,
        run: str,
        *,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Adds tags, metrics and files to a stored run; replaces those with the same name."""
        with _explained(self._uri):
            for tag, text in (tags or {}).items():
                self._client.set_tag(run, tag, text)
            for metric, value in (metrics or {}).items():
                self._client.log_metric(run, metric, value)
            self._log_files(run, files or {})

    def _run(
        self,
        reference: str,
        kind: str,
        files: Mapping[str, bytes],
        golden: GoldenResult | None = None,
    ) -> str:
        """Saves a finished run about a version with these files; returns its id."""
        tags = {"version": reference}
        if golden is not None:
            tags[_GOLDEN] = canonical_json(golden.as_json()).decode()
        figures = _figures(golden) if golden else {}
        metrics = {figure: float(value) for figure, value in figures.items()}
        name = f"{kind} of {reference}"
        return self.save_run(kind, name, tags=tags, metrics=metrics, files=files)

    def _log_files(self, run: str, files: Mapping[str, bytes]) -> None:
        if not files:
            return
        with TemporaryDirectory() as folder:
            for file, data in files.items():
                (Path(folder) / file).write_bytes(data)
            self._client.log_artifacts(run, folder)

    def _experiment(self) -> str:
        """Returns the experiment's id; processes that create it at once all find the same."""
        from mlflow.exceptions import MlflowException

        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return str(experiment.experiment_id)
        try:
            return str(self._client.create_experiment(EXPERIMENT, self._artifacts))
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._experiment()


def _client(uri: str) -> "MlflowClient":
    """Returns a connected client; hides warnings that concern only MLflow's own code."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        for chatty in ("mlflow", "alembic"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_registered_models(max_results=1)
    return client


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as exc:
        what = str(exc).splitlines()[0][:300]
        text = (
            f"the model registry {uri} failed: {what}; check that its server answers, or that its "
            "file is writable and of this MLflow (mlflow db upgrade)"
        )
        secret, at, _ = urlsplit(uri).netloc.rpartition("@")
        raise RegistryError(text.replace(secret + at, "") if at else text) from exc


def _plain(text: str) -> str:
    """Returns a name that is safe in MLflow's query language, which has no escapes."""
    if not set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-/"):
        raise ModelNotFound(
            f"{text!r} is not a model's name; write lower-case letters, digits, dots and dashes"
        )
    return text


def _tags(model: ModelVersion, role: str) -> dict[str, str]:
    """Returns the whole version as one tag, and searchable properties as further tags."""
    described = model.as_json()
    plain = ("family", "weights_digest", "licence", "source", "latent_space", "critic")
    return (
        {_MODEL: canonical_json(described).decode(), _FOLDER: model.folder, _ROLE: role}
        | {name: str(described[name]) for name in plain}
        | {"sizes": " ".join(map(str, model.sizes)) or "any"}
        | {f"capability.{name}": "true" for name in model.capabilities}
    )


def _figures(golden: GoldenResult) -> dict[str, str]:
    names = ("acceptance", "agreement", "seconds_per_image", "usd_per_image", "damaged_passes")
    figures = golden.as_json()
    return {name: str(figures[name]) for name in names if figures[name] is not None}


def _version(row: "Row") -> RegisteredVersion:
    model = ModelVersion.model_validate_json(row.tags[_MODEL])
    golden = row.tags.get(_GOLDEN)
    result = GoldenResult.model_validate_json(golden) if golden else None
    return RegisteredVersion(
        model=model.replace(
            name=row.name,
            version=str(row.version),
            folder=row.tags.get(_FOLDER, ""),
            seconds_per_image=(result and result.seconds_per_image) or model.seconds_per_image,
        ),
        role=row.tags.get(_ROLE, ""),
        registered_at=_timestamp(row.creation_timestamp),
        golden=result,
    )


def _timestamp(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
