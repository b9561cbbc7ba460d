"""S3 blobs: created once by a conditional PUT, checksummed in both directions.

Endpoint, region and credentials come from the standard AWS variables and files. Multipart uploads
are never used: a blob is one request, so half a blob is never visible.

Sources: Amazon S3 User Guide, "Conditional writes" and "Checking object integrity".
"""

import hashlib
import os
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from threading import Lock
from typing import Any, Final

from app.digest import digest_bytes
from app.errors import BlobNotFound, DigestMismatch, StoreError
from app.store.blobs import MAX_CONCURRENT, BlobEntry, blob_path, is_digest, require_size
from app.store.fault_injection import fault_point
from app.store.retry import Wait, call_with_retries

_TRANSIENT_STATUS = (408, 409, 429, 500, 502, 503, 504)
"""409 is ConditionalRequestConflict: two conditional writes met; S3 asks to try again."""
_TRANSIENT_CODES = ("BadDigest", "XAmzContentSHA256Mismatch", "RequestTimeout", "IncompleteBody")
"""400s that mean that the body was damaged or truncated in transit."""


class NotYetConsistent(Exception):
    """An object is not what was just put: damaged in transit, or swept meanwhile."""


def status_of(exc: BaseException) -> int:
    """Returns the HTTP status of a server's answer, 0 without an answer."""
    answer = getattr(exc, "response", None) or {}
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_transient(exc: Exception) -> bool:
    """Returns whether the same call may succeed when tried again."""
    from botocore.exceptions import (
        ClientError,
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
    )

    if isinstance(exc, ClientError):
        return status_of(exc) in _TRANSIENT_STATUS or _code(exc) in _TRANSIENT_CODES
    return isinstance(
        exc, ConnectionError | HTTPClientError | IncompleteReadError | NotYetConsistent
    )


@contextmanager
def translate_errors(address: str) -> Iterator[None]:
    """Turns any boto3 error into a StoreError that names the object and the remedy."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, NotYetConsistent) as exc:
        if status_of(exc) == 404 and _code(exc) != "NoSuchBucket":
            raise BlobNotFound(
                f"no blob {address}; make the asset again or restore a backup"
            ) from exc
        raise StoreError(f"the blob store failed at {address}: {_cause(exc)}") from exc


def _cause(exc: Exception) -> str:
    status, code = status_of(exc), _code(exc)
    if isinstance(exc, NotYetConsistent):
        return (
            "the object is damaged or gone every time; look for a faulty proxy, or sweep less often"
        )
    if code == "NoSuchBucket":
        return "there is no such bucket; create it, it is never created here"
    if status in (401, 403):
        return f"{status} {code}; check that the AWS credentials may read and write this bucket"
    if status:
        return f"the server answers {status} {code}; run the same command again when it works"
    return (
        f"{type(exc).__name__}; check that AWS_ENDPOINT_URL, AWS_REGION and the AWS credentials "
        "are set and that the server can be reached"
    )


def _code(exc: BaseException) -> str:
    answer = getattr(exc, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


_PIECE_BYTES = 2**20
_ONE_AT_A_TIME = Lock()
"""Clients may be used from many threads, but not be created by several at once."""
_SECONDS: Final = {"connect_timeout": 5, "read_timeout": 60}


def open_s3(bucket: str, prefix: str, *, wait: Wait = time.sleep) -> "S3Blobs":
    """Opens the store below `s3://bucket/prefix`; no request is sent yet.

    Raises StoreError when the `s3` extra is not installed.
    """
    session = _session()
    from botocore.config import Config

    # A self-hosted server rarely has a DNS name for each bucket.
    own = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        retries={"total_max_attempts": 1},  # retry.py does all retries
        s3={"addressing_style": "path" if own else "auto"},
        max_pool_connections=2 * MAX_CONCURRENT,
        request_checksum_calculation="when_required",  # put sends the sha256 that it computed
        response_checksum_validation="when_required",  # get hashes what it reads
        **_SECONDS,
    )
    with _ONE_AT_A_TIME:
        client = session.client("s3", config=config)
    return S3Blobs(client, bucket, prefix, wait=wait)


@cache
def _session() -> Any:
    """Returns one session per process: it loads the protocol description, which is slow."""
    try:
        import boto3
    except ImportError as exc:
        raise StoreError(
            "the blob store's URL has the scheme 's3', which needs boto3; "
            "run: pip install 'atelier[s3]'"
        ) from exc
    return boto3.session.Session()


class S3Blobs:
    """Blobs as objects `prefix/ab/cd/abcd...` of a bucket that exists.

    A blob is created with `If-None-Match: *`: of many writers one creates it and the others find it
    and check that it is whole. Transient errors are retried a limited number of times; permanent
    ones raise a StoreError that names the object and the remedy.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str,
        *,
        wait: Wait = time.sleep,
        listed_at_once: int = 1000,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._wait = wait
        self._listed_at_once = listed_at_once

    def put(self, data: bytes) -> str:
        """Stores the bytes; see `Blobs.put`."""
        digest = digest_bytes(data)
        require_size(f"the blob {digest}", len(data))
        conditions = {"IfNoneMatch": "*"}
        fault_point("blob.begin")
        with translate_errors(self._address(digest)):
            call_with_retries(
                lambda: self._create(digest, data, conditions),
                is_transient=is_transient,
                wait=self._wait,
            )
        fault_point("blob.verified")
        return digest

    def put_all(self, blobs: Sequence[bytes]) -> tuple[str, ...]:
        """Stores a batch; see `Blobs.put_all`."""
        with ThreadPoolExecutor(MAX_CONCURRENT) as pool:
            list(pool.map(self.put, dict.fromkeys(blobs)))
        return tuple(digest_bytes(data) for data in blobs)

    def get(self, digest: str) -> bytes:
        """Returns the bytes; see `Blobs.get`."""
        data = b"".join(self._read(digest))
        if digest_bytes(data) != digest:
            # The network may have damaged them: the object is read once more.
            data = b"".join(self._read(digest))
        if digest_bytes(data) != digest:
            raise self._rotten(digest)
        return data

    def has(self, digest: str) -> bool:
        """Returns whether the blob exists; see `Blobs.has`."""
        try:
            self._head(digest)
        except BlobNotFound:
            return False
        return True

    def rehash(self, digest: str) -> str:
        """Returns the actual sha256; see `Blobs.rehash`."""
        with translate_errors(self._address(digest)):
            return call_with_retries(
                lambda: self._rehash_once(digest), is_transient=is_transient, wait=self._wait
            )

    def entries(self) -> Iterator[BlobEntry]:
        """Yields every blob; see `Blobs.entries`."""
        token: dict[str, str] = {}
        while True:
            page = self._listed(token)
            for item in page.get("Contents", ()):
                digest = item["Key"].rpartition("/")[2]
                if is_digest(digest) and item["Key"] == self._prefix + blob_path(digest):
                    yield BlobEntry(digest, item["Size"], item["LastModified"].timestamp())
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def remove(self, digest: str) -> None:
        """Removes the blob; see `Blobs.remove`."""
        self._ask(digest, "delete_object")

    def drafts(self, before: float) -> tuple[str, ...]:
        """Returns nothing, because a failed PUT leaves nothing here; see `Blobs.drafts`."""
        return ()

    def discard(self, draft: str) -> None:
        """Does nothing, because there are no drafts; see `Blobs.discard`."""

    def _create(self, digest: str, data: bytes, conditions: dict[str, str]) -> None:
        checksum = _checksum(digest)
        try:
            answer = self._client.put_object(
                Body=data,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum,
                **conditions,
                **self._named(digest),
            )
        except Exception as exc:
            if status_of(exc) != 412:
                raise
            # Another writer was first, or our own earlier try whose answer was lost.
            if not self._is_whole(digest, len(data)):
                raise self._rotten(digest) from exc
            return
        fault_point("blob.sent")
        if answer.get("ChecksumSHA256") != checksum and not self._is_whole(digest, len(data)):
            # Damaged in transit to a store that does not check. Overwriting with the bytes of this
            # name can only repair it; removing it could be wrong.
            conditions.clear()
            raise NotYetConsistent

    def _is_whole(self, digest: str, size: int) -> bool:
        """Returns whether the object has the size and the sha256; reads it only if needed."""
        try:
            head = self._client.head_object(ChecksumMode="ENABLED", **self._named(digest))
            return bool(head["ContentLength"] == size) and self._hashes_to(digest, head)
        except Exception as exc:
            if status_of(exc) == 404:
                raise NotYetConsistent from exc
            raise

    def _hashes_to(self, digest: str, head: dict[str, Any]) -> bool:
        checksum = head.get("ChecksumSHA256")
        if checksum is not None and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
            return bool(checksum == _checksum(digest))
        # The network may damage an answer too: only bytes that are wrong twice are damaged.
        return any(self._rehash_once(digest) == digest for _ in range(2))

    def _rehash_once(self, digest: str) -> str:
        running = hashlib.sha256()
        for piece in self._pieces(digest):
            running.update(piece)
        return running.hexdigest()

    def _read(self, digest: str) -> list[bytes]:
        with translate_errors(self._address(digest)):
            return call_with_retries(
                lambda: list(self._pieces(digest)), is_transient=is_transient, wait=self._wait
            )

    def _pieces(self, digest: str) -> Iterator[bytes]:
        answer = self._client.get_object(**self._named(digest))
        require_size(f"the object {self._address(digest)}", answer["ContentLength"])
        with closing(answer["Body"]) as body:
            yield from body.iter_chunks(_PIECE_BYTES)

    def _head(self, digest: str) -> None:
        self._ask(digest, "head_object")

    def _ask(self, digest: str, operation: str) -> None:
        named = self._named(digest)
        call = getattr(self._client, operation)
        with translate_errors(self._address(digest)):
            call_with_retries(lambda: call(**named), is_transient=is_transient, wait=self._wait)

    def _listed(self, token: dict[str, str]) -> dict[str, Any]:
        with translate_errors(f"s3://{self._bucket}/{self._prefix}"):
            page: dict[str, Any] = call_with_retries(
                lambda: self._client.list_objects_v2(
                    Bucket=self._bucket, Prefix=self._prefix, MaxKeys=self._listed_at_once, **token
                ),
                is_transient=is_transient,
                wait=self._wait,
            )
        return page

    def _named(self, digest: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + blob_path(digest)}

    def _address(self, digest: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{blob_path(digest)}"

    def _rotten(self, digest: str) -> DigestMismatch:
        return DigestMismatch(
            f"the blob {self._address(digest)} does not hold the bytes its name promises; "
            "remove it and make it again, or restore an older version of the object"
        )


def _checksum(digest: str) -> str:
    """Returns a sha256 in the format of S3."""
    return b64encode(bytes.fromhex(digest)).decode()
