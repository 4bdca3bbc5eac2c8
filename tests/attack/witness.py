"""The witness: somebody says STOP every 100 ms, signed, whatever else comes in. A process of its own.

    python -m tests.attack.witness HOST PORT SECRET PAGE FIRST

Each STOP is another person's (``FIRST``, ``FIRST + 1``, …) and comes on another connection. It goes on until its input
ends, waits for the answers that are still owed, and writes a line of JSON for each: ``[psid, milliseconds, status]``;
the status is null where no answer came.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

#: Real seconds between two of them.
_EVERY = 0.1
#: Real seconds after which the platform would have hung up.
_GIVES_UP = 20.0
_PATH = "/webhooks/messenger"


def signed(secret: str, body: bytes) -> dict[str, str]:
    """The headers of a webhook with that body."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}


def stop(page: str, psid: str, at_ms: int) -> bytes:
    """The webhook of somebody who says STOP."""
    message = {"mid": f"m_stop_{psid}", "text": "STOP"}
    event = {"sender": {"id": psid}, "recipient": {"id": page}, "timestamp": at_ms, "message": message}
    return json.dumps({"object": "page", "entry": [{"id": page, "time": at_ms, "messaging": [event]}]}).encode()


def main(argv: list[str]) -> None:
    """Say it until the input ends."""
    host, port, secret, page, first = argv
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()

    def say(psid: str) -> tuple[str, float, int | None]:
        body = stop(page, psid, int(time.time() * 1000))  # noqa: TID251 - the platform's clock, not the product's
        began, status = time.monotonic(), None
        connection = http.client.HTTPConnection(host, int(port), timeout=_GIVES_UP)
        try:
            connection.request("POST", _PATH, body, signed(secret, body))
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        return psid, 1000 * (time.monotonic() - began), status

    number, owed = int(first), []
    # As many as could be owed at once, so that a slow answer holds up nobody's STOP.
    with ThreadPoolExecutor(int(_GIVES_UP / _EVERY) + 1) as pool:
        due = time.monotonic()
        while not ended.is_set():
            owed.append(pool.submit(say, str(number)))
            number += 1
            due += _EVERY
            ended.wait(max(0.0, due - time.monotonic()))
        for each in owed:
            sys.stdout.write(json.dumps(each.result()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
