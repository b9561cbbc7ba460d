"""Law 3: company does not change an image, to the bit, wherever and whenever it is made."""

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.results import RenderedImage
from app.engine.state import Delivery, ServiceClass
from app.image.png import png_bytes
from app.models.sd3 import Sd3Pipeline
from app.types import GenerationRequest, Sampler
from tests.engine.engines import LENGTH, ImageStore, engine_of, half_mask, picture
from tests.scale import scaled, size

PLACEMENTS = size(100, 500)

requests = st.builds(
    GenerationRequest,
    prompt=st.sampled_from(["a red potion", "a blue coin", "x"]),
    negative_prompt=st.sampled_from(["", "blur"]),
    width=st.sampled_from([16, 32]),
    height=st.just(16),
    num_inference_steps=st.integers(1, 4),
    guidance_scale=st.sampled_from([0.0, 1.0, 1.5, 7.0]),
    seed=st.integers(0, 2**32 - 1),
)


def watched(input_files: ImageStore) -> list[GenerationRequest]:
    """One request of each kind, whose pictures must never change."""
    text = GenerationRequest(
        prompt="a green gem", width=16, height=16, num_inference_steps=3, guidance_scale=3.0, seed=7
    )
    init = text.replace(init_image=input_files.add(picture(16, 16, 1)), strength=0.7)
    mask = input_files.add(half_mask(16, 16))
    multistep = text.replace(sampler=Sampler.DPMPP_2M)
    return [text, text.replace(guidance_scale=0.0), init, init.replace(mask_image=mask), multistep]


def payload(outcome: Any) -> bytes:
    assert isinstance(outcome, RenderedImage)
    return png_bytes(outcome.pixels, text={})


@scaled
def test_the_png_payload_is_the_same_in_many_random_placements(stock: Any) -> None:
    torch.set_num_threads(1)  # recorded in provenance: sums may be ordered by it
    pipeline = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    input_files, rng = ImageStore(), np.random.default_rng(20)
    alone = {
        request.id: payload(
            next(engine_of(pipeline, 4, images=input_files.get).generate([request]))
        )
        for request in watched(input_files)
    }
    assert len(set(alone.values())) == len(alone)
    engines = {rows: engine_of(pipeline, rows, images=input_files.get) for rows in (4, 8, 16)}
    placed = 0
    while placed < PLACEMENTS:
        engine = engines[int(rng.choice([4, 8, 16]))]  # never closed: the 200th of its process
        batch = watched(input_files) + [neighbour(rng) for _ in range(int(rng.integers(0, 5)))]
        for request in rng.permutation(np.array(batch, dtype=object)):
            service = ServiceClass(int(rng.integers(0, 2)))
            engine.submit(request, Delivery(service, preview_every=int(rng.integers(0, 2))))
            if rng.random() < 0.3:
                engine.step()
        for outcome in engine.generate([]):
            if outcome.request.id in alone:
                assert payload(outcome) == alone[outcome.request.id]
                placed += 1


def neighbour(rng: np.random.Generator) -> GenerationRequest:
    return GenerationRequest(
        prompt=str(rng.choice(["a red potion", "a blue coin", "x"])),
        width=int(rng.choice([16, 32])),
        height=16,
        num_inference_steps=int(rng.integers(1, 4)),
        guidance_scale=float(rng.choice([0.0, 2.0])),
        seed=int(rng.integers(0, 2**32)),
    )


@settings(max_examples=15)
@given(batch=st.lists(requests, min_size=1, max_size=6, unique_by=lambda r: r.id), data=st.data())
def test_company_does_not_change_an_image(stock: Any, batch: list[Any], data: Any) -> None:
    pipeline = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    chosen = data.draw(st.sampled_from(batch))
    alone = next(engine_of(pipeline, 4).generate([chosen]))
    together = {
        outcome.request.id: outcome
        for outcome in engine_of(pipeline, 8).generate(data.draw(st.permutations(batch)))
    }
    assert payload(together[chosen.id]) == payload(alone)


def test_fast_mode_pads_to_the_smallest_bucket_and_says_so(stock: Any, request_of: Any) -> None:
    pipeline = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    engine = engine_of(pipeline, 16, mode="fast")
    single, guided = request_of(guidance_scale=0.0, num_inference_steps=6), request_of()
    outcomes = {outcome.request.id: outcome for outcome in engine.generate([single, guided])}
    facts = [outcomes[request.id].engine for request in (single, guided)]
    assert [settings.row_buckets for settings in facts] == [(1, 4), (4,)]
    assert {settings.mode for settings in facts} == {"fast"}


def test_exact_mode_pads_less_and_gives_the_same_bits(stock: Any, request_of: Any) -> None:
    pipeline = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    batch = [request_of(seed=seed, guidance_scale=2.0 * (seed % 2)) for seed in range(4)]
    full = {
        outcome.request.id: payload(outcome) for outcome in engine_of(pipeline, 16).generate(batch)
    }
    for company in ([batch[0]], batch[:2], batch):
        for outcome in engine_of(pipeline, 16, mode="exact").generate(company):
            assert isinstance(outcome, RenderedImage)
            assert payload(outcome) == full[outcome.request.id]
            assert outcome.engine is not None
            rows = sum(1 + (request.guidance_scale > 1) for request in company)
            smallest = min(count for count in outcome.engine.exact_rows if count >= rows)
            assert outcome.engine.row_buckets == (smallest,)


def test_a_model_being_loaded_beside_it_changes_no_bit(stock: Any, request_of: Any) -> None:
    """Loaders set the whole process' default type for as long as they load."""
    pipeline = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    ends = []
    for dtype in (torch.float32, torch.bfloat16):
        engine = engine_of(pipeline, 4)
        engine.submit(request_of(guidance_scale=4.3), Delivery(keep_latents=True))
        torch.set_default_dtype(dtype)
        try:
            events = engine.step()
        finally:
            torch.set_default_dtype(torch.float32)
        while not events:
            events = engine.step()
        assert isinstance(events[0].result, RenderedImage)
        ends.append(events[0].result.latents)
    assert np.array_equal(*ends)


def test_compiled_blocks_change_no_bit(stock: Any, request_of: Any) -> None:
    from copy import deepcopy

    from app.models.device import compile_blocks

    compiled = deepcopy(stock)
    compile_blocks(compiled.transformer, backend="eager")
    batch = [request_of(seed=seed, guidance_scale=2.0 * (seed % 2)) for seed in range(3)]
    pictures = [
        {
            outcome.request.id: payload(outcome)
            for outcome in engine_of(pipeline, rows).generate(batch)
        }
        for rows in (4, 8, 16, 32)  # a graph per bucket and kind of block: more than 8 in all
        for pipeline in (
            Sd3Pipeline(stock, max_sequence_length=LENGTH),
            Sd3Pipeline(compiled, max_sequence_length=LENGTH),
        )
    ]
    assert all(made == pictures[0] for made in pictures)
