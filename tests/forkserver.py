"""What the process that others are forked from reads once for all of them."""

from __future__ import annotations

from policies.lexicon import lexicon

lexicon()
