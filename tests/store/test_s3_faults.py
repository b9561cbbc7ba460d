"""An object store that fails: what passes is met with patience, what stays is said plainly."""

from collections.abc import Iterator

import pytest

from app.digest import digest_bytes
from app.errors import BlobNotFound, DigestMismatch, StoreError
from app.store.retry import TRIES
from app.store.s3 import S3Blobs, open_s3
from tests.store import servers
from tests.store.proxy import Answer, Cut, Fault, Flip, Lose, Proxy, proxy_before

DATA = b"an icon"
DIGEST = digest_bytes(DATA)
CONFLICT = Answer(409, "ConditionalRequestConflict")
SLOW_DOWN = Answer(503, "SlowDown")


class Waits(list[float]):
    """Notes how long the store would have waited."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def bucket(s3_server: str) -> str:
    return servers.new_bucket()


@pytest.fixture(params=[True, False], ids=["checks", "does not check"])
def proxy(s3_server: str, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """A server that checks what it is sent, and one that does not."""
    with proxy_before(s3_server, checks=request.param) as proxy:
        yield proxy


@pytest.fixture
def blobs(proxy: Proxy, bucket: str, waits: Waits, monkeypatch: pytest.MonkeyPatch) -> S3Blobs:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    return open_s3(bucket, "below", wait=waits)


@pytest.mark.parametrize(
    "fault",
    [
        CONFLICT,
        SLOW_DOWN,
        Answer(500, "InternalError"),
        Answer(429, "TooManyRequests"),
        Answer(400, "RequestTimeout"),
        Lose(),
        Flip(),
    ],
    ids=str,
)
def test_a_put_outlives_what_passes(
    blobs: S3Blobs, proxy: Proxy, waits: Waits, bucket: str, fault: Fault
) -> None:
    proxy.fail("PUT", *[fault] * 2)
    assert blobs.put(DATA) == DIGEST
    assert blobs.get(DIGEST) == DATA
    assert len(waits) >= (1 if isinstance(fault, Lose) else 2)
    assert [entry.size for entry in blobs.entries()] == [len(DATA)]


@pytest.mark.parametrize("fault", [CONFLICT, SLOW_DOWN, Flip()], ids=str)
def test_what_never_passes_ends_after_a_finite_number_of_tries(
    blobs: S3Blobs, proxy: Proxy, waits: Waits, fault: Fault
) -> None:
    proxy.fail("PUT", *[fault] * 100)
    with pytest.raises(StoreError, match=DIGEST):
        blobs.put(DATA)
    assert proxy.seen.count("PUT") == TRIES
    assert len(waits) == TRIES - 1
    proxy.faults.clear()
    with pytest.raises(BlobNotFound if proxy.checks or fault != Flip() else DigestMismatch):
        blobs.get(DIGEST)


def test_pauses_are_drawn_below_a_bound_that_doubles(
    blobs: S3Blobs, proxy: Proxy, waits: Waits
) -> None:
    for _ in range(5):
        proxy.fail("HEAD", *[SLOW_DOWN] * TRIES)
        with pytest.raises(StoreError, match="503"):
            blobs.has(DIGEST)
    for start in range(0, len(waits), TRIES - 1):
        run = waits[start : start + TRIES - 1]
        assert all(0 <= pause <= 0.1 * 2**number for number, pause in enumerate(run))
    assert len(set(waits)) == len(waits)


@pytest.mark.parametrize("fault", [Cut(), Flip(), SLOW_DOWN, Lose()], ids=str)
def test_a_read_outlives_what_passes(blobs: S3Blobs, proxy: Proxy, fault: Fault) -> None:
    data = bytes(range(256)) * 1000
    digest = blobs.put(data)
    proxy.fail("GET", fault)
    assert blobs.get(digest) == data
    proxy.fail("GET", fault)
    assert blobs.rehash(digest) == (digest if not isinstance(fault, Flip) else FLIPPED)


FLIPPED = digest_bytes(b"\x01" + (bytes(range(256)) * 1000)[1:])
"""A re-hash says what it read; whoever asks decides whether to ask again."""


def test_half_a_body_every_time_is_an_error_and_never_half_a_blob(
    blobs: S3Blobs, proxy: Proxy
) -> None:
    blobs.put(DATA)
    proxy.fail("GET", *[Cut()] * TRIES)
    with pytest.raises(StoreError, match=DIGEST):
        blobs.get(DIGEST)


def test_a_body_that_arrives_damaged_every_time_is_refused(blobs: S3Blobs, proxy: Proxy) -> None:
    blobs.put(DATA)
    proxy.fail("GET", Flip(), Flip())
    with pytest.raises(DigestMismatch, match=DIGEST):
        blobs.get(DIGEST)


def test_what_is_there_already_is_looked_at_and_not_written(blobs: S3Blobs, proxy: Proxy) -> None:
    blobs.put(DATA)
    before = list(blobs.entries())
    assert blobs.put(DATA) == DIGEST
    assert list(blobs.entries()) == before
    assert proxy.seen.count("PUT") == 2
    assert "HEAD" in proxy.seen


@pytest.mark.parametrize("other", [b"AN ICON", b"an ico", b""])
def test_other_bytes_under_the_name_are_not_taken_for_kept(
    blobs: S3Blobs, bucket: str, other: bytes
) -> None:
    blobs.put(DATA)
    key = f"below/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST}"
    servers.bare_client().put_object(Bucket=bucket, Key=key, Body=other)
    with pytest.raises(DigestMismatch, match=DIGEST):
        blobs.put(DATA)


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (Answer(403, "AccessDenied"), "403 AccessDenied; check that the AWS credentials"),
        (Answer(404, "NoSuchBucket"), "no such bucket; create it"),
        (Answer(400, "InvalidRequest"), "400 InvalidRequest"),
    ],
)
def test_what_will_not_pass_is_said_at_once_with_its_remedy(
    blobs: S3Blobs, proxy: Proxy, waits: Waits, answer: Answer, remedy: str
) -> None:
    proxy.fail("PUT", answer)
    with pytest.raises(StoreError, match=remedy) as refusal:
        blobs.put(DATA)
    assert not isinstance(refusal.value, BlobNotFound)
    assert waits == []
    assert "a-secret" not in str(refusal.value)


def test_a_server_that_cannot_be_reached_is_named_with_the_remedy(
    s3_server: str, bucket: str, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match=r"AWS_ENDPOINT_URL.*can be reached"):
        open_s3(bucket, "below", wait=waits).has(DIGEST)
    assert len(waits) == TRIES - 1


def test_a_bucket_that_is_not_there_is_an_error_and_no_absent_blob(
    s3_server: str, waits: Waits
) -> None:
    with pytest.raises(StoreError, match="no such bucket; create it"):
        open_s3("a-bucket-nobody-made", "", wait=waits).put(DATA)
