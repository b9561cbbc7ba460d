"""The multipart body of an edit: image files, and fields as text."""

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.api.requests import MAX_TEXT_LAYERS, EditRequest
from app.types.text_layer import TextLayer
from deployments.calls.init_images import UploadedFiles

MAX_FIELDS = 40
FILES = ("image", "image[]", "mask")
_LAYERS: TypeAdapter[list[TextLayer]] = TypeAdapter(list[TextLayer])


async def read_edit(request: Request) -> tuple[EditRequest, UploadedFiles]:
    """Reads the fields and the files. Raises RequestValidationError, which names the field."""
    try:
        async with request.form(max_files=len(FILES), max_fields=MAX_FIELDS) as form:
            images = [*form.getlist("image"), *form.getlist("image[]")]
            image = await _file("image", images, required=True)
            mask = await _file("mask", form.getlist("mask"), required=False)
            body = _fields(form, masked=mask is not None)
    except HTTPException as exc:
        limits = f"at most {MAX_FIELDS} fields and {len(FILES)} files"
        raise _fault("body", f"it must be a multipart form of {limits}") from exc
    assert image is not None
    return body, UploadedFiles(image=image, mask=mask)


def edit_body() -> dict[str, Any]:
    """Returns the OpenAPI description of the body."""
    schema = EditRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    binary = {"type": "string", "format": "binary", "description": "A PNG of 8 bits a channel."}
    properties = {**schema["properties"], "image": binary, "mask": binary}
    properties["text_layers"] = {"type": "string", "description": "JSON: a list of TextLayer."}
    form = {**schema, "properties": properties, "required": ["image", "prompt"]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


async def _file(name: str, values: list[Any], *, required: bool) -> bytes | None:
    if len(values) > 1:
        raise _fault(name, "only one image is allowed")
    if not values and not required:
        return None
    if not values or not isinstance(values[0], UploadFile):
        raise _fault(name, "send a PNG as a file")
    return await values[0].read()


def _fields(form: FormData, *, masked: bool) -> EditRequest:
    texts: dict[str, Any] = {
        name.removesuffix("[]"): value
        for name, value in form.items()
        if name not in FILES and isinstance(value, str)
    }
    layers_json = texts.pop("text_layers", None)
    if "tags" in texts:
        texts["tags"] = [value for name in ("tags", "tags[]") for value in form.getlist(name)]
    if masked:
        texts.setdefault("strength", "1")
    try:
        body = EditRequest.model_validate_strings(texts)
        layers = () if layers_json is None else tuple(_LAYERS.validate_json(layers_json))
    except ValidationError as exc:
        raise RequestValidationError(exc.errors()) from exc
    if len(layers) > MAX_TEXT_LAYERS:
        raise _fault("text_layers", f"at most {MAX_TEXT_LAYERS} are allowed")
    return body.replace(text_layers=layers) if layers else body


def _fault(field: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", field), "msg": message, "type": "value_error"}])
