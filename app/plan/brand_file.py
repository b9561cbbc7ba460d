"""Brand file: reads a plan's brand from a file of its own, with faults by their lines."""

import json
from pathlib import Path as Folder

from pydantic import ValidationError

from app.digest import digest_bytes
from app.errors import Fault, InvalidRequest
from app.plan.brand import Brand, brand_rules
from app.plan.faults import fault_of
from app.plan.files import UnusableFile, read_plan_file
from app.plan.recover import RecoveredPlan
from app.plan.shorthand import expand_shorthand
from app.plan.yaml_document import PlanFault, UnreadableYaml, YamlDocument, read_document
from app.types import Value

MAX_BYTES = 1 << 16
_PATH = ("brand",)


class BrandReader:
    """The brand of one plan in this folder, and its faults."""

    def __init__(self, written: RecoveredPlan, folder: Folder) -> None:
        self._plan, self._folder = written.plan, folder
        self.brand = written.plan.brand if written.valid("brand") else None
        self.complaints: list[PlanFault] = []
        """Faults in the plan."""
        self.faults: tuple[Fault, ...] = ()
        """Faults in the brand's own file."""
        if self.brand is not None and self.brand.file:
            self._read(self.brand)
        elif self.brand is not None and not brand_rules(self.brand):
            self._add_fault("has no rule", 'add a rule, as in palette: {colours: ["#c62f2f"]}')

    def _read(self, named: Brand) -> None:
        if named != Brand(file=named.file):
            remedy = "write brand: with the path alone, or without file: and digest:"
            self._add_fault("names a file and has other keys", remedy)
            return
        try:
            data = _bytes(named.file, self._folder)
            document = _below(read_document(data.decode("utf-8-sig")))
        except UnusableFile as error:
            self._add_fault(error.message, error.remedy)
        except UnicodeDecodeError:
            self._add_fault("is not UTF-8 text", "save the file as UTF-8")
        except UnreadableYaml as error:
            file = str(self._folder / named.file)
            fault = Fault(file, error.line, "brand", named.file, error.message, error.remedy)
            self.faults = (fault,)
        else:
            self._validate(named, document, digest_bytes(data))

    def _validate(self, named: Brand, document: YamlDocument, digest: str) -> None:
        faults = list(document.plan_faults)
        try:
            data = json.dumps(expand_shorthand(document))
            brand = _Named.model_validate_json(data, strict=True).brand
        except ValidationError as error:
            faults += [fault_of(error, document) for error in error.errors(include_url=False)]
        else:
            if brand.file or brand.digest or brand.folder or not brand_rules(brand):
                remedy = "write palette:, light:, framing:, background: or technical: in it"
                faults.append(PlanFault(_PATH, "is not a brand", remedy, named.file))
            place = {"file": named.file, "digest": digest, "folder": str(self._folder.absolute())}
            self.brand = brand.replace(**place)
        self.faults = document.faults(faults, str(self._folder / named.file))

    def _add_fault(self, message: str, remedy: str) -> None:
        self.complaints.append(PlanFault(_PATH, message, remedy))


def brand_bytes(brand: Brand) -> bytes:
    """Returns the bytes of the brand's file; raises InvalidRequest when they changed."""
    try:
        data = _bytes(brand.file, Folder(brand.folder))
    except UnusableFile as error:
        raise InvalidRequest(f"brand {brand.file} {error.message}; {error.remedy}") from error
    if digest_bytes(data) != brand.digest:
        raise InvalidRequest(
            f"brand {brand.file} has changed since the plan was read; run the plan again"
        )
    return data


def _bytes(file: str, folder: Folder) -> bytes:
    return read_plan_file(
        file, folder, most=MAX_BYTES, what="a YAML file", example="brands/tavern.yaml"
    )


class _Named(Value):
    """A brand under its key, so that its faults have the same paths as in a plan."""

    brand: Brand


def _below(document: YamlDocument) -> YamlDocument:
    """Returns the document as if it were part of a plan."""
    places = {(*_PATH, *path): place for path, place in document.places.items()}
    faults = [
        PlanFault((*_PATH, *fault.path), fault.message, fault.remedy, fault.value, fault.place)
        for fault in document.plan_faults
    ]
    return YamlDocument({"brand": document.data}, places | {(): places[_PATH]}, faults)
