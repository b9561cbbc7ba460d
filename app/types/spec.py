"""One asset of a plan, complete: its request, sizes and acceptance rules."""

from functools import cached_property
from typing import Annotated

from pydantic import Field

from app.digest import digest
from app.types.base import Pivot, Size, Value
from app.types.fields import Attempts, Candidates, Kind, Name, Refine
from app.types.judgement import BrandRule, Rule
from app.types.request import GenerationRequest


class AssetSpec(Value):
    """One requested asset: an expanded row of a plan, complete in itself."""

    name: Name
    kind: Kind
    usage: str
    axes: dict[str, str]
    request: GenerationRequest
    sizes: Annotated[tuple[Size, ...], Field(min_length=1)]
    candidates: Candidates = 1
    attempts: Attempts = 1
    refine: Refine = Refine.SEED
    rules: tuple[Rule, ...] = ()
    brand: tuple[BrandRule, ...] = ()
    """The rules of the plan's brand, in addition to `rules`."""
    pivot: Pivot = Pivot()
    model: str = "starter"

    @cached_property
    def digest(self) -> str:
        """Returns the digest of everything that decides the finished asset; tier and tags do not.

        `refine: seed` and an empty brand are left out, so that specs from before these fields
        existed keep their digests.
        """
        fields = self.model_dump(mode="json", exclude={"request": {"tier", "tags"}})
        if self.refine is Refine.SEED:
            del fields["refine"]
        if not self.brand:
            del fields["brand"]
        return digest(fields)

    @property
    def demands(self) -> tuple[Rule, ...]:
        """Returns every rule that its images must pass: its own and the brand's."""
        return (*self.rules, *self.brand)

    @property
    def labels(self) -> tuple[str, ...]:
        """Returns what it shares with others, sorted: labels, axis values, largest size, text.

        They do not depend on the model that makes it.
        """
        request, size = self.request, max(self.sizes, key=lambda size: size.width * size.height)
        labels = {*request.tags.labels, *(f"{axis}={value}" for axis, value in self.axes.items())}
        return tuple(sorted(labels | {str(size)} | ({"text"} if request.text_layers else set())))

    def candidate(self, index: int) -> GenerationRequest:
        """Returns the request for candidate `index`, counted from 0: seeds are consecutive."""
        return self.request.replace(seed=(self.request.seed + index) % 2**32)
