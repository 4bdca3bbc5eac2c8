"""Where a request keeps who is asking."""

from __future__ import annotations

from typing import Final

#: In the state of a request whose key is known: the key's name. There is none before the key was checked.
STATE: Final = "key"
