"""Whatever a signed body says: it is answered, never with a 500, and every event of it is a row.

A short look with every run; a long one by ``python -m tests.integration.front.fuzz_inbox --minutes 30``.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.integration.front.fuzz_inbox import look


@pytest.mark.timeout(300)
def test_no_body_is_a_500_and_no_event_is_lost(page: Any, client: TestClient, row: Any) -> None:
    look(client, row, page.external_id, random.Random(8461), bodies=400)
