"""Imported once by the server that forks the tests' processes, so that none begins from nothing."""

import psycopg

from app.store.s3 import open_s3
from tests.store import test_processes, worker

open_s3("a-bucket", "")  # reads the description of the protocol; asks nobody anything

__all__ = ["psycopg", "test_processes", "worker"]
