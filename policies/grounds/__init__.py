"""Why a message may be sent: one ground a file, the preferred first."""

from __future__ import annotations

from policies.grounds import marketing_token, one_time_token, recurring, standard_window, utility_template
from policies.grounds.ground import Ground

GROUNDS: tuple[Ground, ...] = (
    standard_window.GROUND, utility_template.GROUND, marketing_token.GROUND, recurring.GROUND, one_time_token.GROUND,
)  # fmt: skip
