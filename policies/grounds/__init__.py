"""Why a message may be sent: one ground a file, the preferred first."""

from __future__ import annotations

from policies.grounds import standard_window, utility_template
from policies.grounds.ground import Ground

GROUNDS: tuple[Ground, ...] = (standard_window.GROUND, utility_template.GROUND)
