"""Read: reads a plan file into a Plan, or reports every fault in it at once."""

from collections.abc import Mapping
from pathlib import Path

from app.errors import Fault, PlanError
from app.plan.brand_file import BrandReader
from app.plan.recover import recover
from app.plan.schema import Plan
from app.plan.validate_asset import AssetView, asset_faults
from app.plan.validate_backgrounds import BackgroundReader
from app.plan.validate_plan import (
    budget_faults,
    pack_faults,
    plan_faults,
    route_faults,
)
from app.plan.yaml_document import UnreadableYaml, YamlDocument, read_document
from app.types import ModelVersion

MAX_BYTES = 1 << 20


def read_plan(
    path: Path, *, allow_large: bool = False, models: Mapping[str, ModelVersion] | None = None
) -> Plan:
    """Returns the plan in a YAML file of at most 1 MiB; files that it names are below its folder.

    Raises PlanError with every fault in the order of the file, also when the file cannot be read.
    `allow_large` permits assets whose axes multiply to more than 10,000 combinations. With
    `models`, assets with a background are checked for a model that sets text; without, routing
    checks it later.
    """
    try:
        document = read_document(_text(path))
    except UnreadableYaml as error:
        raise PlanError((_fault(path, error),)) from error
    return _checked(document, path, allow_large=allow_large, models=models)


def _checked(
    document: YamlDocument,
    path: Path,
    *,
    allow_large: bool,
    models: Mapping[str, ModelVersion] | None,
) -> Plan:
    written, pictures = recover(document), BackgroundReader(path.parent)
    brands = BrandReader(written, path.parent)
    views = [AssetView(written, at) for at in range(len(written.plan.assets))]
    faults = [
        *written.plan_faults,
        *(fault for view in views for fault in asset_faults(view)),
        *plan_faults(views, written, allow_large=allow_large),
        *budget_faults(written),
        *route_faults(written),
        *pack_faults(views, written),
        *pictures.faults(views, models),
        *brands.complaints,
    ]
    if faults or brands.faults:
        raise PlanError((*document.faults(faults, str(path)), *brands.faults))
    return pictures.with_digests(written.plan).replace(brand=brands.brand)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UnreadableYaml(
                1, f"is larger than {MAX_BYTES} bytes", "use axes, or split the plan"
            )
        return data.decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UnreadableYaml(
            1, f"cannot be read: {reason}", "give the path of a plan file"
        ) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableYaml(line, "is not UTF-8 text", "save the file as UTF-8") from error


def _fault(path: Path, error: UnreadableYaml) -> Fault:
    return Fault(str(path), error.line, "plan", path.name, error.message, error.remedy)
