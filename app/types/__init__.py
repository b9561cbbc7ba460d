"""The values that pass between packages; import them from here."""

from app.types.values import (
    PIPELINE_VERSION as PIPELINE_VERSION,
)
from app.types.values import (
    Asset as Asset,
)
from app.types.values import (
    AssetRecord as AssetRecord,
)
from app.types.values import (
    AssetSpec as AssetSpec,
)
from app.types.values import (
    AtlasPage as AtlasPage,
)
from app.types.values import (
    Attempts as Attempts,
)
from app.types.values import (
    BrandRule as BrandRule,
)
from app.types.values import (
    Candidates as Candidates,
)
from app.types.values import (
    Digest as Digest,
)
from app.types.values import (
    EngineSettings as EngineSettings,
)
from app.types.values import (
    Environment as Environment,
)
from app.types.values import (
    Finding as Finding,
)
from app.types.values import (
    FinishedFile as FinishedFile,
)
from app.types.values import (
    GeneratedImage as GeneratedImage,
)
from app.types.values import (
    GenerationRequest as GenerationRequest,
)
from app.types.values import (
    GuidanceScale as GuidanceScale,
)
from app.types.values import (
    Hosted as Hosted,
)
from app.types.values import (
    Kind as Kind,
)
from app.types.values import (
    Measure as Measure,
)
from app.types.values import (
    ModelVersion as ModelVersion,
)
from app.types.values import (
    Name as Name,
)
from app.types.values import (
    NoiseSchedule as NoiseSchedule,
)
from app.types.values import (
    Pivot as Pivot,
)
from app.types.values import (
    Pixels as Pixels,
)
from app.types.values import (
    Placement as Placement,
)
from app.types.values import (
    Priority as Priority,
)
from app.types.values import (
    Provenance as Provenance,
)
from app.types.values import (
    QualityReport as QualityReport,
)
from app.types.values import (
    Rect as Rect,
)
from app.types.values import (
    Refine as Refine,
)
from app.types.values import (
    Retry as Retry,
)
from app.types.values import (
    Route as Route,
)
from app.types.values import (
    Rule as Rule,
)
from app.types.values import (
    Sampler as Sampler,
)
from app.types.values import (
    Seed as Seed,
)
from app.types.values import (
    Size as Size,
)
from app.types.values import (
    Status as Status,
)
from app.types.values import (
    Steps as Steps,
)
from app.types.values import (
    Tags as Tags,
)
from app.types.values import (
    TextLayer as TextLayer,
)
from app.types.values import (
    Tier as Tier,
)
from app.types.values import (
    Turn as Turn,
)
from app.types.values import (
    Value as Value,
)
from app.types.values import (
    Verdict as Verdict,
)
from app.types.values import (
    version_of as version_of,
)
