"""The base class of all values (frozen, validated), and the smallest values."""

from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from app.digest import Json

Pixels: TypeAlias = Annotated[int, Field(ge=1, le=4096)]


class Value(BaseModel):
    """A frozen value that may cross process borders; refuses unknown and infinite values."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """Returns a copy with these changes, validated again and without cached digests."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**(fields | changes))

    def as_json(self) -> dict[str, Json]:
        """Returns the value as plain JSON types."""
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
        """Returns the size as text: 64x64."""
        return f"{self.width}x{self.height}"


class Pivot(Value):
    """The anchor as a share of the untrimmed frame: (0.5, 1) is the middle of the bottom edge."""

    x: Annotated[float, Field(ge=0, le=1)] = 0.5
    y: Annotated[float, Field(ge=0, le=1)] = 0.5
