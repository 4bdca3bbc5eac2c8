"""An app for ``celery -A`` that writes down when the first byte of each request is about to leave.

It is ``workers.app`` otherwise. ``WATCHED_DEPARTURES`` names the file: a line for each request, the seconds of
``time.monotonic()``, which is one clock for all processes of a machine.
"""

from __future__ import annotations

import os
import time

from workers import posting
from workers.app import app as app
from workers.send_api.throttle import Throttle

_file = os.open(os.environ["WATCHED_DEPARTURES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
_last_word = posting._why_not_now


def _leaves(throttle: Throttle, errand: posting.Errand) -> str | None:
    told = _last_word(throttle, errand)
    if told is None:
        os.write(_file, f"{time.monotonic():.6f}\n".encode())
    return told


posting._why_not_now = _leaves
