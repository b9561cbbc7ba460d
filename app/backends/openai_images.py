"""A hosted model behind the Backend protocol: any service that implements OpenAI's images API.

Each image is one call with its own idempotency key. If a call gets no answer, it is not known
whether the image was made, so the call is repeated under the same key: a provider that honours keys
makes and charges it once.
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
    """The hosted model of a route, called over HTTPS; its key is sent only to its host.

    Refuses to send requests that must stay on this machine, that use fields the provider does not
    have, or that come after the provider's end date. Proxies and `.netrc` of the environment are
    not used, and redirects are not followed. `fresh` is put before every idempotency key, so that
    the provider does not return an earlier answer. Raises InvalidRequest when httpx is not
    installed.
    """

    key_setting = ""
    """The setting that error messages name for the key; empty: the one for keys by host."""

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
        """Yields one outcome per request as they finish, with `at_once` calls in flight.

        `seconds` is the wall-clock time of the successful call, without the wait for a free slot.
        Safe to repeat where the provider honours idempotency keys; otherwise each repetition is
        charged.
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
        """Returns the image of one call, which ends at its deadline; translates httpx's errors."""
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
            raise unavailable_error(host, request, "ended the connection too early") from exc
        return self._read_answer(data, request, seconds=monotonic() - started)

    def _read_answer(
        self, data: bytes, request: GenerationRequest, *, seconds: float
    ) -> RenderedImage:
        """Returns the image in a successful answer."""
        return RenderedImage(request, read_image(data, request, host=self._hosted.host), seconds)

    def _body(self, request: GenerationRequest) -> dict[str, Json]:
        """Returns the JSON body of the call for one image."""
        return request_body(self._hosted, self._route.model, request)

    def _headers(self, request: GenerationRequest) -> dict[str, str]:
        """Returns extra headers: the idempotency key, so that no image is charged twice."""
        return {"Idempotency-Key": self._fresh + self._route.key(request.id)}

    def _require_sendable(self, request: GenerationRequest) -> None:
        """Raises BackendRejected for requests that earlier checks should have stopped."""
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
        """Returns the raw body; a compressed one is refused because it may expand to any size."""
        host = self._hosted.host
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise rejected_error(host, request, "its answer is compressed, which was not requested")
        data = bytearray()
        async for chunk in answer.aiter_raw():
            data += chunk
            if len(data) > most:
                what = f"its answer is longer than {most} bytes and was not read completely"
                raise rejected_error(host, request, what, retryable=True)
        return bytes(data)


def need_httpx() -> None:
    """Raises InvalidRequest when httpx is not installed."""
    try:
        import httpx  # noqa: F401
    except ModuleNotFoundError as exc:
        raise InvalidRequest(
            "hosted models need httpx, which is not installed; run: pip install 'atelier[hosted]'"
        ) from exc
