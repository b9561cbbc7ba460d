"""Field types and enumerations that several values share."""

from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import Field, StringConstraints

PIPELINE_VERSION = "1"
"""Part of every key: raise it when the same request would give other pixels."""
Digest: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=120)
]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**32)]
Steps: TypeAlias = Annotated[int, Field(ge=1, le=200)]
GuidanceScale: TypeAlias = Annotated[float, Field(ge=0, le=30)]
Candidates: TypeAlias = Annotated[int, Field(ge=1, le=64)]
Attempts: TypeAlias = Annotated[int, Field(ge=1, le=256)]
Priority: TypeAlias = Annotated[int, Field(ge=0, le=9)]


class Kind(StrEnum):
    """The kind of asset that a plan asks for."""

    ICON = "icon"
    SPRITE = "sprite"
    TEXTURE = "texture"
    POSTER = "poster"
    PRODUCT = "product"


class Tier(StrEnum):
    """The role that answers: a fast draft or the final model."""

    DRAFT = "draft"
    FINAL = "final"


class Sampler(StrEnum):
    """How a step is computed from the model's velocity; both take one forward pass per step."""

    EULER = "euler"
    DPMPP_2M = "dpmpp_2m"
    """DPM-Solver++ of second order, multistep (Lu et al. 2022): less error in few steps."""


class Refine(StrEnum):
    """How a further attempt differs from one that failed."""

    SEED = "seed"
    """Only by the next seed."""
    REASON = "reason"
    """By the change that has most often fixed the broken rule, relative to its cost."""


class CostGroup(StrEnum):
    """Names what costs can be grouped by."""

    TEAM = "team"
    RUN = "run"
    MODEL = "model"
    ASSET = "asset"


class Status(StrEnum):
    """The final status of an asset."""

    ACCEPTED = "accepted"
    REVIEW = "review"
    REJECTED = "rejected"
    FAILED = "failed"
