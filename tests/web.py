"""The web application inside of a test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from fastapi import FastAPI
from fastapi.testclient import TestClient

from scheduler.api.app import create_app

#: Its routes cost a third of a second, and are everybody's. What it has of its own begins and ends with its lifespan.
_application = cache(create_app)


@contextmanager
def web() -> Iterator[TestClient]:
    """The web application, started; an error inside is an answer, as it is for everybody else."""
    application: FastAPI = _application()
    with TestClient(application, raise_server_exceptions=False) as client:
        yield client
