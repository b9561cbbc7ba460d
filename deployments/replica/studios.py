"""The studios of one replica: one takes what comes, one before it may still end what it has."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.types import ModelVersion
from deployments.messages import Begun, Commission, ReplicaState, Turned, Word
from deployments.replica.engine_worker import Studio


class Studios:
    """Paints as one; every commission is painted from first to last by the studio that took it."""

    def __init__(self, studio: Studio) -> None:
        self._present = studio
        self._leaving: list[Studio] = []
        self._forward_passes = self._row_steps = 0

    @property
    def model(self) -> ModelVersion:
        """The version that takes what comes."""
        return self._present.model

    async def paint(self, commission: Commission) -> AsyncGenerator[Word]:
        """Words as they come; before the first picture, the version that paints.

        Between choosing the studio and its taking the commission nothing is awaited, so that no
        commission meets a studio that has begun to leave.
        """
        studio = self._present
        if commission.version not in (None, studio.model.reference):
            yield _moved(str(commission.version), studio.model.reference)
            return
        begun = False
        async with aclosing(studio.paint(commission)) as words:
            async for word in words:
                if not begun and not isinstance(word, Turned):
                    begun = True
                    yield Begun(model=studio.model)
                yield word

    async def succeed(self, studio: Studio) -> None:
        """Let this studio take what comes from now on; returns when the one before has ended."""
        before, self._present = self._present, studio
        self._leaving.append(before)
        await before.drain()
        self._leaving.remove(before)
        ended = await before.state()
        self._forward_passes += ended.forward_passes
        self._row_steps += ended.row_steps

    async def state(self) -> ReplicaState:
        """What is under way in all of them, and what they and those that left have done."""
        states = [await one.state() for one in (self._present, *self._leaving)]
        return states[0].replace(
            in_flight=sum(one.in_flight for one in states),
            bulk_in_flight=sum(one.bulk_in_flight for one in states),
            forward_passes=self._forward_passes + sum(one.forward_passes for one in states),
            row_steps=self._row_steps + sum(one.row_steps for one in states),
        )

    def check(self) -> None:
        """Raises EngineError when one of them broke, or stands still with work under way."""
        for studio in (self._present, *self._leaving):
            studio.check()

    async def drain(self) -> None:
        """Refuse what comes, and wait for what is under way."""
        for studio in (self._present, *self._leaving):
            await studio.drain()


def _moved(wanted: str, present: str) -> Turned:
    return Turned(
        reason="moved",
        message=f"{wanted} does not paint here, {present} does; ask again, or by another name",
    )
