"""A place where it is day, whatever the machine's clock says.

The witness judges promotions by the true local hour of whoever gets them: what arrives before 8 or after 21 is one more
violation. A test that sends on the real clock, and is about something else than hours, lets its people live where it is
noon; it would pass by day and fail by night otherwise.
"""

from __future__ import annotations

from datetime import UTC, datetime

#: A zone for each offset from -11 to +12, in order. None of them changes its clocks, so it is noon there in any season.
_ZONES = (
    "Pacific/Niue", "Pacific/Tahiti", "Pacific/Gambier", "Pacific/Pitcairn", "America/Hermosillo",
    "America/Costa_Rica", "America/Lima", "America/La_Paz", "America/Paramaribo", "Atlantic/South_Georgia",
    "Atlantic/Cape_Verde", "Africa/Abidjan", "Africa/Lagos", "Africa/Maputo", "Africa/Nairobi", "Asia/Dubai",
    "Indian/Maldives", "Asia/Thimphu", "Asia/Bangkok", "Asia/Manila", "Pacific/Palau", "Pacific/Port_Moresby",
    "Pacific/Guadalcanal", "Pacific/Tarawa",
)  # fmt: skip


def zone_at_noon(now: float) -> str:
    """An IANA zone whose clocks show between 12:00 and 12:59 at ``now`` (epoch seconds)."""
    return _ZONES[23 - datetime.fromtimestamp(now, UTC).hour]
