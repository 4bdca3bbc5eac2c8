"""Policy documents for the two readings: the built-in ones, some made by hand, and random ones."""

from __future__ import annotations

import random
from pathlib import Path

from policies.policy import Policy, load_policy, parse_policy
from tests.properties.naive_documents import Document, read

ROOT = Path(__file__).parents[2]
SHOP = """
[policy]
name = "shop"
jurisdictions = "legal"
[messaging_window]
margin = "10m"
[[permitted_hours]]
id = "doors"
daily = [["09:07", "12:30"], ["13:30", "24:00"]]
sat = [["00:00", "01:45"], ["02:15", "23:00"]]
sun = []
[[permitted_hours]]
id = "promotions"
applies_to = ["promotional", "service"]
daily = [["10:00", "21:00"]]
sun = [["10:00", "20:00"]]
[[frequency_cap]]
id = "each-day"
limit = 1
per = "day"
applies_to = ["promotional", "service"]
[[frequency_cap]]
id = "each-week"
limit = 3
per = "week"
[[frequency_cap]]
id = "rolling"
limit = 2
per = "30h"
[[minimum_gap]]
id = "breath"
between = "45m"
"""
HELD = """
[policy]
name = "held"
extends = "default"
[unknown_zone]
mode = "hold"
[[frequency_cap]]
id = "daily"
limit = 1
per = "day"
applies_to = ["promotional"]
[[minimum_gap]]
id = "gap"
between = "10m"
applies_to = ["promotional"]
"""
NEPAL = """
[policy]
name = "nepal"
extends = "default"
jurisdictions = "off"
[unknown_zone]
mode = "fallback"
zone = "Asia/Kathmandu"
[[permitted_hours]]
id = "house"
applies_to = ["promotional", "utility"]
mon = []
fri = [["00:00", "24:00"]]
sun = [["01:00", "03:00"], ["12:00", "24:00"]]
"""
STRICT = """
[policy]
name = "strict"
extends = "default"
[messaging_window]
click_to_messenger = true
[consent]
require = "packs"
[[permitted_hours]]
id = "days-off"
daily = [["08:00", "20:00"]]
holiday = []
before_holiday = [["08:00", "14:00"]]
holidays = "contact"
"""
ADVERTISED = """
[policy]
name = "advertised"
[messaging_window]
margin = "5m"
click_to_messenger = true
[consent]
require = "packs"
[handover]
timeout = "12h"
[[permitted_hours]]
id = "holiday-trade"
sun = []
holiday = [["10:00", "16:00"]]
holidays = "US"
"""
BASES = {"default", "platform-only"}
WRITTEN = {"shop": SHOP, "held": HELD, "nepal": NEPAL, "strict": STRICT, "advertised": ADVERTISED}
EDGES = ("00:00", "01:30", "02:00", "02:15", "03:00", "06:00", "08:00", "09:00", "12:30", "13:30", "17:07", "20:00",
         "21:00", "22:30", "24:00")  # fmt: skip
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CATEGORIES = ("promotional", "utility", "service")


def built_in(name: str) -> Document:
    return read((ROOT / f"policies/builtin/{name}.policy.toml").read_text(encoding="utf-8"))


def both(text: str) -> tuple[Policy, Document]:
    """A document in the engine's reading and in the naive one."""
    base = next((name for name in BASES if f'extends = "{name}"' in text), None)
    return parse_policy(text, where="t"), read(text, built_in(base) if base else None)


def known_policies() -> dict[str, tuple[Policy, Document]]:
    found = {name: (load_policy(name), built_in(name)) for name in sorted(BASES)}
    return found | {name: both(text) for name, text in WRITTEN.items()}


def random_document(chance: random.Random) -> str:
    """A document in which any key may be there; possible by construction."""
    lines = ["[policy]", 'name = "random"']
    if chance.random() < 0.3:
        lines.append(f'extends = "{chance.choice(sorted(BASES))}"')
    lines.append(f'jurisdictions = "{chance.choice(("courtesy", "courtesy", "legal", "off"))}"')
    lines += ["[messaging_window]", f"click_to_messenger = {chance.choice(('true', 'false'))}"]
    if chance.random() < 0.6:
        lines.append(f'margin = "{chance.choice(("0s", "1s", "5m", "2h", "23h"))}"')
    if chance.random() < 0.6:
        mode = chance.choice(("all_candidates", "hold", "fallback"))
        lines += ["[unknown_zone]", f'mode = "{mode}"']
        if mode == "fallback":
            lines.append(f'zone = "{chance.choice(("Asia/Tokyo", "America/New_York", "Australia/Lord_Howe"))}"')
    lines += ["[consent]", f'require = "{chance.choice(("inbound", "packs", "packs"))}"']
    if chance.random() < 0.6:
        lines += ["[handover]", f'timeout = "{chance.choice(("1h", "12h", "7d", "30d"))}"']
    for number in range(chance.choice((0, 1, 1, 2))):
        lines += ["[[permitted_hours]]", f'id = "{chance.choice(("house", f"hours{number}"))}"', *_hours(chance)]
        if number == 0 and lines.count('id = "house"'):
            break
    for number in range(chance.choice((0, 0, 1, 2))):
        per = chance.choice(("1h", "24h", "30h", "7d", "30d", "day", "week"))
        lines += ["[[frequency_cap]]", f'id = "cap{number}"', f"limit = {chance.choice((1, 1, 2, 3))}"]
        lines += [f'per = "{per}"', *_applies_to(chance)]
    if chance.random() < 0.3:
        lines += ["[[minimum_gap]]", 'id = "gap"', f'between = "{chance.choice(("1s", "10m", "5h", "2d"))}"']
        lines += _applies_to(chance)
    return "\n".join(lines) + "\n"


def _applies_to(chance: random.Random) -> list[str]:
    if chance.random() < 0.4:
        return []
    named = chance.sample(CATEGORIES, chance.choice((1, 2)))
    return [f"applies_to = {list(named)}".replace("'", '"')]


def _hours(chance: random.Random) -> list[str]:
    lines = _applies_to(chance)
    if chance.random() < 0.8:
        lines.append(f"daily = {_row(chance)}")
    for day in chance.sample(WEEKDAYS, chance.choice((0, 0, 1, 3))):
        lines.append(f"{day} = {_row(chance)}")
    if chance.random() < 0.5:
        if kinds := chance.choice((("holiday",), ("before_holiday",), ("holiday", "before_holiday"))):
            lines += [f"{kind} = {_row(chance)}" for kind in kinds]
        lines.append(f'holidays = "{chance.choice(("contact", "contact", "contact", "FR", "US-LA", "JP", "DE-BY"))}"')
    return lines


def _row(chance: random.Random) -> str:
    if chance.random() < 0.15:
        return "[]"
    edges = sorted(chance.sample(range(len(EDGES)), chance.choice((2, 2, 4))))
    if chance.random() < 0.5:
        edges = [edges[0] // 2, edges[-1] + (len(EDGES) - 1 - edges[-1]) // 2]  # longer periods, so that much is open
    pairs = [f'["{EDGES[start]}", "{EDGES[end]}"]' for start, end in zip(edges[::2], edges[1::2], strict=True)]
    return f"[{', '.join(pairs)}]"
