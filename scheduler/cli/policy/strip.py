"""A forecast drawn as a strip: a line for each local day, a cell for each half hour, a letter for each reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.text import Text

from policies.forecast import Stretch
from policies.local_time import CHUNK, DAY, Pieces, offset_at, pieces
from scheduler.cli.wording import words

_HOUR = 3600
_LABEL = 12
#: Letter and colour of each reason, so that either is enough; a reason that is not here has the letter "o".
_LETTERS = {
    "quiet_hours": ("q", "blue"),
    "closed_day": ("d", "blue"),
    "window_closed": ("w", "red"),
    "window_closes_in_quiet_hours": ("w", "red"),
    "window_closes_before_cap": ("w", "red"),
    "frequency_cap": ("c", "magenta"),
    "minimum_gap": ("g", "magenta"),
    "handover": ("h", "yellow"),
    "kill_switch": ("k", "yellow"),
    "campaign_paused": ("p", "yellow"),
    "page_stopped": ("s", "yellow"),
    "contact_held": ("l", "yellow"),
    "no_consent": ("n", "red"),
    "consent_expired": ("n", "red"),
    "not_before": ("b", "cyan"),
    "expired": ("e", "red"),
    "unknown_zone": ("z", "yellow"),
    "rule_error": ("!", "red"),
    "opted_out": ("x", "red"),
    "blocked": ("x", "red"),
    "unreachable": ("x", "red"),
    "erased": ("x", "red"),
    "test_mode": ("t", "red"),
}


@dataclass(frozen=True, slots=True)
class _Marks:
    whole: str
    part: str


def strip(stretches: Sequence[Stretch], zone: str, *, width: int, ascii_only: bool = False) -> list[Text]:
    """The lines: hours, days, and what the letters mean. Local time is that of ``zone``."""
    marks = _Marks("#", "+") if ascii_only else _Marks("█", "▒")
    # Cells in an hour: as many as fit.
    fine = next((count for count in (4, 2) if _LABEL + 24 * count <= width), 1)
    start, end = stretches[0].start, stretches[-1].end
    clock = pieces(zone, start // CHUNK)
    lines = [_ticks(fine)]
    shown: dict[str, tuple[str, str]] = {}
    for day in range(_local_day(clock, start), _local_day(clock, end - 1) + 1):
        line = Text(f"{datetime.fromtimestamp(day * DAY, UTC):%a %d %b}".ljust(_LABEL))
        for cell in range(24 * fine):
            opens = cell * _HOUR // fine
            mark, style, meaning = _cell(stretches, clock, day, opens, opens + _HOUR // fine, marks)
            if meaning:
                shown.setdefault(mark, (style, meaning))
            line.append(mark, style=style)
        line.rstrip()
        lines.append(line)
    lines.append(Text())
    for mark, (style, meaning) in shown.items():
        lines.append(Text("  ") + Text(mark, style=style) + Text(f" {meaning}"))
    return lines


def local(zone: str, instant: int) -> str:
    """An instant in the zone's local time, such as "Sat 21 Nov 08:00"."""
    return f"{datetime.fromtimestamp(instant + offset_at(zone, instant), UTC):%a %d %b %H:%M}"


def _ticks(fine: int) -> Text:
    return Text(" " * _LABEL + "".join(f"{hour:02d}".ljust(3 * fine) for hour in range(0, 24, 3)), style="dim")


def _cell(
    stretches: Sequence[Stretch], clock: Pieces, day: int, opens: int, closes: int, marks: _Marks
) -> tuple[str, str, str]:
    """The mark of one cell of the wall clock, its colour, and what it means."""
    covered: list[tuple[int, Stretch]] = []
    for begun, ended, offset in clock:
        first, last = max(begun, day * DAY - offset + opens), min(ended, day * DAY - offset + closes)
        overlaps = ((min(last, each.end) - max(first, each.start), each) for each in stretches)
        covered += [(length, each) for length, each in overlaps if length > 0]
    if not covered:
        # Before the forecast, after it, or an hour that the clocks leave out.
        return " ", "", ""
    permitted = [each.permitted for _, each in covered]
    if all(permitted):
        return marks.whole, "green", "it may go"
    if any(permitted):
        return marks.part, "green", "it may go for a part of this time"
    _, most = max(covered, key=lambda found: found[0])
    reason = most.reason or ""
    letter, style = _LETTERS.get(reason, ("o", "yellow"))
    return letter, style, words(reason)


def _local_day(clock: Pieces, instant: int) -> int:
    return next((instant + offset) // DAY for start, end, offset in clock if start <= instant < end)
