"""One asset of a plan, complete: what is asked, and what it must pass."""

from functools import cached_property
from typing import Annotated

from pydantic import Field

from app.digest import digest
from app.types.base import Pivot, Size, Value
from app.types.fields import Attempts, Candidates, Kind, Name, Refine
from app.types.judgement import BrandRule, Rule
from app.types.request import GenerationRequest


class AssetSpec(Value):
    """One asset asked for: an expanded row of a plan, complete in itself."""

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
    """What the plan's brand asks for beside the rules."""
    pivot: Pivot = Pivot()
    model: str = "starter"

    @cached_property
    def digest(self) -> str:
        """The digest of all that decides the finished asset; tier and tags do not.

        Further seeds are left unsaid, and no brand, so that specs from before there was a choice
        keep theirs.
        """
        fields = self.model_dump(mode="json", exclude={"request": {"tier", "tags"}})
        if self.refine is Refine.SEED:
            del fields["refine"]
        if not self.brand:
            del fields["brand"]
        return digest(fields)

    @property
    def demands(self) -> tuple[Rule, ...]:
        """Every rule that its pictures must keep: its own, and the brand's."""
        return (*self.rules, *self.brand)

    @property
    def labels(self) -> tuple[str, ...]:
        """What it has in common with others, sorted: the tags' labels, axes' values, size, text.

        Whichever model makes it, they are the same.
        """
        request, size = self.request, max(self.sizes, key=lambda size: size.width * size.height)
        labels = {*request.tags.labels, *(f"{axis}={value}" for axis, value in self.axes.items())}
        return tuple(sorted(labels | {str(size)} | ({"text"} if request.text_layers else set())))

    def candidate(self, index: int) -> GenerationRequest:
        """The request for candidate `index`, counted from 0: the seeds follow each other."""
        return self.request.replace(seed=(self.request.seed + index) % 2**32)
