"""The floor: a bare loop of ``requests`` in so many threads, that does nothing but post.

One session, a pooled connection a thread, no proxies of the environment (as Duly's client): without a database, a
decision, a rate, a deadline. ``python -m benchmarks.delivery.bare URL THREADS`` posts until killed.
"""

from __future__ import annotations

import itertools
import sys
import threading

import requests
from requests.adapters import HTTPAdapter

_PROOF = "9f2c1f6b3f3f4a0d9f2c1f6b3f3f4a0d9f2c1f6b3f3f4a0d9f2c1f6b3f3f4a0d"


def post_for_ever(url: str, threads: int) -> None:
    """Post as fast as it goes."""
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_maxsize=threads))
    numbers = itertools.count(1)

    def loop() -> None:
        while True:
            number = next(numbers)
            answer = session.post(
                f"{url}/v26.0/1000{number % 60}/messages",
                json={
                    "recipient": {"id": str(7_000_000_000_000_000 + number)},
                    "messaging_type": "UPDATE",
                    "message": {
                        "text": "Hello Alex, your size is back",
                        "metadata": f"{number}.{number}.Qx0fJ3b1aZ8kQ2mN",
                    },
                },
                params={"appsecret_proof": _PROOF},
                headers={"Authorization": "Bearer EAA-token-of-a-page"},
                timeout=(3, 10),
            )
            if answer.status_code != 200 or not answer.json()["message_id"]:
                raise SystemExit(f"the platform answered {answer.status_code}")

    for _ in range(threads - 1):
        threading.Thread(target=loop, daemon=True).start()
    loop()


if __name__ == "__main__":
    post_for_ever(sys.argv[1], int(sys.argv[2]))
