"""Complete values for the store's tests: each differs only in what the test varies."""

from app.digest import digest, digest_bytes
from app.types import (
    Asset,
    AssetRecord,
    AssetSpec,
    AtlasPage,
    EngineSettings,
    Environment,
    Finding,
    FinishedFile,
    GeneratedImage,
    GenerationRequest,
    Kind,
    Measure,
    NoiseSchedule,
    Pivot,
    Placement,
    Provenance,
    QualityReport,
    Rect,
    Size,
    Status,
    Tags,
    Verdict,
)


def request_for(seed: int, *, prompt: str = "a red potion", team: str = "") -> GenerationRequest:
    """A request that differs by seed, prompt and team."""
    return GenerationRequest(
        prompt=prompt,
        negative_prompt="blurry",
        width=64,
        height=64,
        num_inference_steps=4,
        guidance_scale=4.5,
        seed=seed,
        tags=Tags(team=team),
    )


def provenance_of(request: GenerationRequest, *, model: str = "starter-icons/1") -> Provenance:
    """A provenance without gaps."""
    return Provenance(
        request=request,
        request_id=request.id,
        prompt_digest=request.prompt_digest,
        prompt_embedding_digest=digest(["embedding", request.prompt]),
        noise_schedule=NoiseSchedule(
            scheduler="FlowMatchEulerDiscreteScheduler", sigmas_digest=digest("sigmas"), steps=4
        ),
        model=model,
        weights_digest=digest(["weights", model]),
        backend="engine",
        pipeline_version="1",
        engine=EngineSettings(
            mode="reproducible", row_buckets=(8,), rounding="fp32", dtype="float32", device="cpu",
            attention="sdpa", threads=1,
        ),
        environment=Environment(
            python="3.11.7", platform="Linux", processor="a processor",
            libraries={"torch": "2.13.0", "diffusers": "0.42.1", "transformers": "5.23.0"},
        ),
        finishing=(),
        attempt=1,
        parent=None,
    )  # fmt: skip


def key_of(seed: int) -> str:
    """The key of the image with this seed."""
    return digest(["key", seed])


def image_of(
    seed: int, data: bytes, *, request: GenerationRequest | None = None, model: str = "starter/1"
) -> GeneratedImage:
    """A generated image of these bytes."""
    request = request or request_for(seed)
    return GeneratedImage(
        key=key_of(seed),
        request_id=request.id,
        digest=digest_bytes(data),
        width=64,
        height=64,
        seconds=0.25,
        cost_usd=0.0,
        provenance=provenance_of(request, model=model),
    )


def record_of(
    image: GeneratedImage | None,
    file: bytes | None,
    *,
    name: str = "red-potion",
    version: str = "1",
    status: Status = Status.ACCEPTED,
    run_id: str = "run",
    findings: tuple[Finding, ...] = (),
) -> AssetRecord:
    """The record of an asset with one finished file, or with none."""
    request = image.provenance.request if image else request_for(0)
    files = () if file is None else (finished(file),)
    return AssetRecord(
        key=digest(["asset", name, version]),
        name=name,
        version=version,
        status=status,
        spec=AssetSpec(
            name=name, kind=Kind.ICON, usage="inventory", axes={"colour": "red"},
            request=request, sizes=(Size(width=32, height=32),),
        ),
        model=image.provenance.model if image else "starter/1",
        report=QualityReport(
            scores={Measure.AGREEMENT: 0.9}, verdict=Verdict.ACCEPT, findings=findings
        ),
        reasons=(),
        image=image,
        asset=Asset(name=name, version=version, files=files) if files else None,
        provenance=image.provenance.replace(finishing=("trim",)) if image else None,
        attempts=1,
        phash=2**63,
        run_id=run_id,
    )  # fmt: skip


def finished(data: bytes) -> FinishedFile:
    """A finished file of these bytes."""
    return FinishedFile(
        size=Size(width=32, height=32),
        format="png",
        digest=digest_bytes(data),
        trim=Rect(x=1, y=2, width=20, height=30),
        pivot=Pivot(),
    )


def agreement_spoke() -> Finding:
    """A rule on agreement that spoke."""
    return Finding(
        check=Measure.AGREEMENT, score=0.2, rule="agreement >= 0.5", verdict=Verdict.RETRY
    )


def page_of(image: bytes, text: bytes, *, name: str = "icons-0") -> AtlasPage:
    """A page with one sprite."""
    placement = Placement(
        name="red-potion",
        frame=Rect(x=0, y=0, width=20, height=30),
        trim=Rect(x=1, y=2, width=20, height=30),
        source=Size(width=32, height=32),
        pivot=Pivot(),
    )
    return AtlasPage(
        name=name,
        size=Size(width=64, height=64),
        image=digest_bytes(image),
        metadata=digest_bytes(text),
        placements=(placement,),
    )
