"""The values that pass between packages; import them from here."""

from app.types.asset import (
    Asset,
    AssetRecord,
    AtlasPage,
    FinishedFile,
    Placement,
    Retry,
    StageResult,
    version_of,
)
from app.types.base import Pivot, Pixels, Rect, Size, Value
from app.types.fields import (
    PIPELINE_VERSION,
    Attempts,
    Candidates,
    CostGroup,
    Digest,
    GuidanceScale,
    Kind,
    Name,
    Priority,
    Refine,
    Sampler,
    Seed,
    Status,
    Steps,
    Tier,
)
from app.types.hosted_model import HostedEndpoint
from app.types.judgement import BrandRule, Finding, QualityReport, Rule, Verdict
from app.types.measures import Measure
from app.types.model_version import ModelVersion, Route
from app.types.provenance import (
    EngineSettings,
    Environment,
    GeneratedImage,
    NoiseSchedule,
    Provenance,
)
from app.types.request import GenerationRequest, Tags
from app.types.spec import AssetSpec
from app.types.text_layer import TextLayer

__all__ = [
    "PIPELINE_VERSION",
    "Asset",
    "AssetRecord",
    "AssetSpec",
    "AtlasPage",
    "Attempts",
    "BrandRule",
    "Candidates",
    "CostGroup",
    "Digest",
    "EngineSettings",
    "Environment",
    "Finding",
    "FinishedFile",
    "GeneratedImage",
    "GenerationRequest",
    "GuidanceScale",
    "HostedEndpoint",
    "Kind",
    "Measure",
    "ModelVersion",
    "Name",
    "NoiseSchedule",
    "Pivot",
    "Pixels",
    "Placement",
    "Priority",
    "Provenance",
    "QualityReport",
    "Rect",
    "Refine",
    "Retry",
    "Route",
    "Rule",
    "Sampler",
    "Seed",
    "Size",
    "StageResult",
    "Status",
    "Steps",
    "Tags",
    "TextLayer",
    "Tier",
    "Value",
    "Verdict",
    "version_of",
]
