"""What the tests of several parts at once may ask for beside what all tests may."""

from __future__ import annotations

from tests.integration.town import channel as channel
from tests.integration.town import town as town
