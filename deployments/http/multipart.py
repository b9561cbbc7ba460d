"""The multipart body of an edit: images, and fields that are all text."""

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.api.requests import MAX_TEXT_LAYERS, EditRequest
from app.types.text_layer import TextLayer
from deployments.calls.init_images import SentFiles

MAX_FIELDS = 40
FILES = ("image", "image[]", "mask")
_LAYERS: TypeAdapter[list[TextLayer]] = TypeAdapter(list[TextLayer])


async def read_edit(request: Request) -> tuple[EditRequest, SentFiles]:
    """Reads the fields and the files; raises RequestValidationError naming the wrong field."""
    try:
        async with request.form(max_files=len(FILES), max_fields=MAX_FIELDS) as form:
            pictures = [*form.getlist("image"), *form.getlist("image[]")]
            picture = await _file("image", pictures, needed=True)
            mask = await _file("mask", form.getlist("mask"), needed=False)
            body = _fields(form, masked=mask is not None)
    except HTTPException as exc:
        raise _fault("body", "it is no multipart form of at most "
                     f"{MAX_FIELDS} fields and {len(FILES)} files") from exc  # fmt: skip
    assert picture is not None
    return body, SentFiles(picture=picture, mask=mask)


def edit_body() -> dict[str, Any]:
    """Returns the OpenAPI description of the body."""
    schema = EditRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    binary = {"type": "string", "format": "binary", "description": "A PNG of 8 bits a channel."}
    properties = {**schema["properties"], "image": binary, "mask": binary}
    properties["text_layers"] = {"type": "string", "description": "JSON: a list of TextLayer."}
    form = {**schema, "properties": properties, "required": ["image", "prompt"]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


async def _file(name: str, given: list[Any], *, needed: bool) -> bytes | None:
    if len(given) > 1:
        raise _fault(name, "one picture is taken, not several")
    if not given and not needed:
        return None
    if not given or not isinstance(given[0], UploadFile):
        raise _fault(name, "send a PNG as a file")
    return await given[0].read()


def _fields(form: FormData, *, masked: bool) -> EditRequest:
    texts: dict[str, Any] = {
        name.removesuffix("[]"): value
        for name, value in form.items()
        if name not in FILES and isinstance(value, str)
    }
    written = texts.pop("text_layers", None)
    if "tags" in texts:
        texts["tags"] = [value for name in ("tags", "tags[]") for value in form.getlist(name)]
    if masked:
        texts.setdefault("strength", "1")
    try:
        body = EditRequest.model_validate_strings(texts)
        layers = () if written is None else tuple(_LAYERS.validate_json(written))
    except ValidationError as exc:
        raise RequestValidationError(exc.errors()) from exc
    if len(layers) > MAX_TEXT_LAYERS:
        raise _fault("text_layers", f"at most {MAX_TEXT_LAYERS} are taken")
    return body.replace(text_layers=layers) if layers else body


def _fault(field: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", field), "msg": message, "type": "value_error"}])
