"""What every value is: frozen, complete when constructed; and the smallest ones."""

from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from app.digest import Json

Pixels: TypeAlias = Annotated[int, Field(ge=1, le=4096)]


class Value(BaseModel):
    """A frozen value that crosses borders; unknown fields and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """A copy with changes, validated again and without this value's cached digests."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**(fields | changes))

    def as_json(self) -> dict[str, Json]:
        """The value as plain JSON types."""
        return self.model_dump(mode="json")


class Rect(Value):
    """A rectangle in pixels, origin at the top left."""

    x: Annotated[int, Field(ge=0)]
    y: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=0)]
    height: Annotated[int, Field(ge=0)]


class Size(Value):
    """A width and a height in pixels."""

    width: Pixels
    height: Pixels

    def __str__(self) -> str:
        """The size as people write it: 64x64."""
        return f"{self.width}x{self.height}"


class Pivot(Value):
    """The anchor as a share of the untrimmed frame: (0.5, 1) is the middle of the foot."""

    x: Annotated[float, Field(ge=0, le=1)] = 0.5
    y: Annotated[float, Field(ge=0, le=1)] = 0.5
