"""An app for ``celery -A`` whose machine's clock is ahead by ``AHEAD_SECONDS``. It is ``workers.app`` otherwise."""

from __future__ import annotations

import os
from datetime import datetime, tzinfo

from celery.worker import request

from scheduler import clock
from workers.app import app as app

_ahead = float(os.environ["AHEAD_SECONDS"])
_true = clock.machine


class _Ahead(datetime):
    """What Celery holds the end of a task's time against."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return datetime.fromtimestamp(_true() + _ahead, tz)


clock.machine = lambda: _true() + _ahead
request.datetime = _Ahead
