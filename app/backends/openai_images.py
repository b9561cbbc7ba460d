"""A hosted model behind the Backend protocol: any service that speaks OpenAI's images API.

Every image is a call of its own under an idempotency key, the image's own: what became of a call
that got no answer is not known, so the same call is made again under the same key, and a provider
that honours keys makes and charges it once.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import as_completed
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

from anyio import Semaphore, fail_after, sleep
from anyio.from_thread import start_blocking_portal
from pydantic import SecretStr

from app.backends.decode import max_answer_bytes, read_image
from app.backends.errors import error_from_status, rejected_error, timeout_error, unavailable_error
from app.backends.retry import RetryPolicy, Throttle
from app.digest import Json
from app.engine.results import FailedRequest, RenderedImage
from app.errors import BackendError, InvalidRequest, RateLimited
from app.fleet.hosted_requests import end_refusal, request_body, unsupported_reason
from app.fleet.versions import residency_refusal
from app.types import GenerationRequest, HostedEndpoint, Route

if TYPE_CHECKING:
    from httpx import AsyncClient, Response

CONNECT_SECONDS = 10.0
_ERROR_BYTES = 2**16


class OpenAIImages:
    """The model of a route, asked over HTTPS; its key goes to its host and nowhere else.

    Nothing is sent that may not leave this machine, that the provider has no field for, or after
    the provider's end. Neither proxies nor `.netrc` of the environment are used, and redirects
    are not followed. `fresh` stands before every idempotency key: with it, what was answered
    before counts for nothing. Raises InvalidRequest when httpx is not installed.
    """

    key_setting = ""
    """Where a key is set, when not by its host."""

    def __init__(
        self,
        route: Route,
        hosted: HostedEndpoint,
        key: SecretStr | None,
        *,
        timeout_seconds: float,
        at_once: int,
        patience: RetryPolicy | None = None,
        fresh: str = "",
    ) -> None:
        need_httpx()
        self._route, self._hosted, self._key = route, hosted, key
        self._timeout_seconds, self._at_once = timeout_seconds, at_once
        self._patience = patience or RetryPolicy()
        self._fresh = fresh
        self._pace = Throttle()

    def generate(
        self, requests: Iterable[GenerationRequest]
    ) -> Iterator[RenderedImage | FailedRequest]:
        """One outcome per request as they come, `at_once` under way at a time.

        `seconds` are the clock's over the call that succeeded; waiting for a turn does not count.
        Safe to repeat where the provider honours keys; else whoever repeats pays again.
        """
        with (
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(self._client()) as client,
        ):
            room = portal.call(Semaphore, self._at_once)
            calls = [
                portal.start_task_soon(self._outcome, client, room, request) for request in requests
            ]
            try:
                for call in as_completed(calls):
                    yield call.result()
            finally:
                for call in calls:
                    call.cancel()

    def _client(self) -> "AsyncClient":
        from httpx import AsyncClient, Limits, Timeout

        seconds = self._timeout_seconds
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        return AsyncClient(
            headers=headers,
            timeout=Timeout(seconds, connect=min(CONNECT_SECONDS, seconds), pool=None),
            limits=Limits(max_connections=self._at_once),
            trust_env=False,
        )

    async def _outcome(
        self, client: "AsyncClient", room: Semaphore, request: GenerationRequest
    ) -> RenderedImage | FailedRequest:
        errors: list[BackendError] = []
        async with room:
            while True:
                try:
                    await self._pace.wait_turn()
                    return await self._made(client, request)
                except BackendError as error:
                    errors.append(error)
                wait = self._patience.wait_seconds(errors)
                if wait is None:
                    return FailedRequest(request, errors[-1])
                if isinstance(errors[-1], RateLimited):
                    self._pace.pause(wait)
                else:
                    await sleep(wait)

    async def _made(self, client: "AsyncClient", request: GenerationRequest) -> RenderedImage:
        """One call, over by its deadline however slowly it drips; what goes wrong in it is ours."""
        from httpx import ConnectError, ConnectTimeout, RequestError, TimeoutException

        self._require_sendable(request)
        host, started = self._hosted.host, monotonic()
        try:
            with fail_after(self._timeout_seconds):
                data = await self._answer(client, request)
        except (ConnectError, ConnectTimeout) as exc:
            raise unavailable_error(host, request, "cannot be reached") from exc
        except (TimeoutError, TimeoutException) as exc:
            raise timeout_error(host, request, self._timeout_seconds) from exc
        except RequestError as exc:
            raise unavailable_error(host, request, "broke off its answer") from exc
        return self._read_answer(data, request, seconds=monotonic() - started)

    def _read_answer(
        self, data: bytes, request: GenerationRequest, *, seconds: float
    ) -> RenderedImage:
        """From a good answer to an image."""
        return RenderedImage(request, read_image(data, request, host=self._hosted.host), seconds)

    def _body(self, request: GenerationRequest) -> dict[str, Json]:
        """The call for one image."""
        return request_body(self._hosted, self._route.model, request)

    def _headers(self, request: GenerationRequest) -> dict[str, str]:
        """What the call says beside; whoever is paid must not be paid twice."""
        return {"Idempotency-Key": self._fresh + self._route.key(request.id)}

    def _require_sendable(self, request: GenerationRequest) -> None:
        """The last wall before the wire; what it stops was let through on the way."""
        model = self._route.model
        today = datetime.now(UTC).date()
        why = (
            residency_refusal(model, request.tags)
            or end_refusal(model, today)
            or unsupported_reason(model, request)
        )
        if why is not None:
            raise rejected_error(self._hosted.host, request, f"nothing was sent: {why}")

    async def _answer(self, client: "AsyncClient", request: GenerationRequest) -> bytes:
        async with client.stream(
            "POST",
            self._hosted.generations,
            json=self._body(request),
            headers=self._headers(request),
        ) as answer:
            if answer.status_code == 200:
                return await self._read(answer, request, max_answer_bytes(request))
            raise error_from_status(
                answer.status_code,
                answer.headers,
                await self._read(answer, request, _ERROR_BYTES),
                host=self._hosted.host,
                request=request,
                keyed=self._key is not None,
                key_setting=self.key_setting or f"ATELIER_HOSTED_KEYS='{self._hosted.host}=KEY'",
            )

    async def _read(self, answer: "Response", request: GenerationRequest, most: int) -> bytes:
        """The body as it came; a packed one is refused, for it may unpack to anything."""
        host = self._hosted.host
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise rejected_error(host, request, "its answer is packed, which nobody asked for")
        data = bytearray()
        async for chunk in answer.aiter_raw():
            data += chunk
            if len(data) > most:
                what = f"its answer is longer than {most} bytes and was not read to its end"
                raise rejected_error(host, request, what, retryable=True)
        return bytes(data)


def need_httpx() -> None:
    """Raises InvalidRequest when httpx is not installed."""
    try:
        import httpx  # noqa: F401
    except ModuleNotFoundError as exc:
        raise InvalidRequest(
            "hosted models are asked through httpx, which is not installed; "
            "run: pip install 'atelier[hosted]'"
        ) from exc
