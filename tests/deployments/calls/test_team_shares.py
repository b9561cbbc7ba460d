"""Teams that wait for one replica share it by weight: from the key's team to the engine's rows."""

import asyncio
from pathlib import Path
from typing import Any

from app.api.keys import KeyOwner
from app.api.requests import ImagesRequest
from app.route.by_role import Role
from deployments.calls.admission import Call
from deployments.calls.call_renderer import CompletedImageEvent
from tests.deployments.workers import DRAFT, run, service_of, worker_of
from tests.engine.test_async_engine import Gated

IMAGES, ROOM = 10, 8


def test_the_team_of_a_key_gets_its_share_of_the_rows(stock: Any, tmp_path: Path) -> None:
    """Twice ten guided images want 40 rows of 16: of the eight that go first, six are the team's
    that weighs three times as much, though the other one asked first."""
    weights = tmp_path / "budgets.yaml"
    weights.write_text("shares: {heroes: 3}")

    async def story() -> None:
        pipeline, ended = Gated(stock), list[str]()
        pipeline.gate.clear()
        async with worker_of(pipeline, capacity=2 * IMAGES) as (worker, engine):
            service = service_of({Role.DRAFT: worker}, (DRAFT,), tmp_path, budgets=weights)

            async def ask(team: str) -> None:
                prompt = f"a potion of {team}"
                body = ImagesRequest(prompt=prompt, model="draft", n=IMAGES, guidance=4, steps=8)
                call = Call(owner=KeyOwner(name=f"ann of {team}", team=team))
                async for event in service.calls.render(body, call):
                    if isinstance(event, CompletedImageEvent):
                        ended.append(team)

            calls = []
            for team in ("ui", "heroes"):
                calls.append(asyncio.create_task(ask(team)))
                while (await worker.state()).in_flight < IMAGES * len(calls):
                    assert not calls[-1].done(), calls[-1].exception()
                    await asyncio.sleep(0)
            pipeline.gate.set()
            await asyncio.gather(*calls)
            assert engine.row_steps == 2 * IMAGES * 2 * 8
        assert len(ended) == 2 * IMAGES
        assert ended[:ROOM].count("heroes") == 6

    run(story)
