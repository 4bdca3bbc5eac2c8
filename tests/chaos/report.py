"""What a whole run of chaos showed, for a person and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.chaos.recovery import BOUNDS, late, p95
from tests.chaos.run import Outcome

__all__ = ["Outcome", "as_json", "as_text", "failures"]

_COUNTED = ("outside_policy", "doubled", "lost", "disagreements", "doubts")


def failures(outcomes: Sequence[Outcome]) -> list[str]:
    """Everything that did not hold, over all runs."""
    found = [f"seed {each.options.seed}: {words}" for each in outcomes for words in each.failures]
    return found + late(_recoveries(outcomes))


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The sums, and whether all of it passed."""
    stormy = [each for each in outcomes if each.options.faults]
    kills: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for each in stormy:
        kills.update(each.kills)
        faults.update(each.faults)
    summed = {
        name: sum(each.judgement.figures[name] for each in stormy)
        for name in (
            "messages",
            "begun",
            "requests",
            "accepted",
            "opt_outs_acknowledged",
            "unconfirmed",
            "sending_at_kills",
        )
    }
    found = {name: sum(len(getattr(each.judgement, name)) for each in outcomes) for name in _COUNTED}
    return {
        "passed": not failures(outcomes),
        "seeds": [each.options.seed for each in stormy],
        **summed,
        "kills": sum(kills.values()),
        "kills_by_part": dict(kills.most_common()),
        "faults_by_kind": dict(faults.most_common()),
        "found": found,
        # Nothing found in n messages: with 95 % confidence fewer than 3 in n (rule of three).
        "upper_bound": round(3 / summed["begun"], 6) if summed["begun"] and not any(found.values()) else None,
        "recovery_p95": {part: p95(times) for part, times in _recoveries(outcomes).items() if times},
        "recovery_bounds": BOUNDS,
        "failures": failures(outcomes),
    }


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Summary and every run."""
    document = {"summary": summary(outcomes), "runs": [each.as_json() for each in outcomes]}
    return json.dumps(document, indent=1) + "\n"


def as_text(outcomes: Sequence[Outcome]) -> str:
    """The same for a person."""
    lines: list[str] = []
    for each in outcomes:
        figures, options = each.judgement.figures, each.options
        lines += [
            f"seed {options.seed}{'' if options.faults else ' without faults'}: "
            f"{'passed' if not each.failures else 'FAILED'}",
            f"  {figures['messages']} messages, {figures['begun']} begun, {figures['requests']} requests, "
            f"{figures['accepted']} accepted; {sum(each.kills.values())} kills ({_counts(each.kills)})",
            f"  outside policy {len(each.judgement.outside_policy)}, doubled {len(each.judgement.doubled)}, "
            f"lost {len(each.judgement.lost)}, disagreements {len(each.judgement.disagreements)}",
            f"  unconfirmed {figures['unconfirmed']} ({figures['unconfirmed_share']:.2%}): sending at a kill "
            f"{figures['unconfirmed_sending_at_a_kill']} of {figures['sending_at_kills']}, cut off by the line "
            f"{figures['unconfirmed_cut_off_by_the_line']}, else {figures['unconfirmed_slammed_or_unexplained']}",
            f"  states: {_counts(figures['states'])}",
            f"  opt-outs {figures['opt_outs_acknowledged']} acknowledged of {figures['opt_outs_sent']}, "
            f"{figures['races_with_an_opt_out']} races within 250 ms; restarts: {_counts(each.restarts)}",
        ]
        if each.complaints:
            lines.append(f"  in the logs: {_counts(each.complaints)}")
        lines += [f"  FAILED {words}" for words in each.failures[:25]]
    recoveries = _recoveries(outcomes)
    for part, times in recoveries.items():
        if times:
            lines.append(
                f"lost {part}: first send after {p95(times):.1f} s at p95 of {len(times)}, at most {BOUNDS[part]:.0f}"
            )
    total = summary(outcomes)
    lines.append(
        f"{'PASSED' if total['passed'] else 'FAILED'}: {total['messages']} messages and {total['kills']} kills on "
        f"{len(total['seeds'])} seeds; {_counts(total['found'])}"
    )
    return "\n".join(lines)


def _recoveries(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    return {part: [took for each in outcomes for took in each.recoveries.get(part, ())] for part in BOUNDS}


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def as_markdown(document: dict[str, Any]) -> str:
    """The figures of a report, as read from its JSON, for ``docs/chaos.md``."""
    rows = [
        ("messages / begun", lambda run: f"{run['messages']} / {run['begun']}"),
        ("requests / accepted", lambda run: f"{run['requests']} / {run['accepted']}"),
        ("kills", lambda run: sum(run["kills"].values())),
        ("other faults", lambda run: sum(count for kind, count in run["faults"].items() if kind != "kill")),
        ("outside policy", lambda run: _found(run, "outside_policy")),
        ("doubled", lambda run: _found(run, "doubled")),
        ("lost", lambda run: _found(run, "lost")),
        ("disagreements", lambda run: _found(run, "disagreements")),
        ("unconfirmed", lambda run: f"{run['unconfirmed']} ({run['unconfirmed_share']:.2%})"),
        (
            "… of those sending at a kill",
            lambda run: f"{run['unconfirmed_sending_at_a_kill']} of {run['sending_at_kills']}",
        ),
        ("… cut off by the line", lambda run: run["unconfirmed_cut_off_by_the_line"]),
        ("… slammed", lambda run: run["unconfirmed_slammed_or_unexplained"]),
        ("opt-outs acknowledged", lambda run: run["opt_outs_acknowledged"]),
        ("requests within 250 ms after one", lambda run: run["races_with_an_opt_out"]),
    ]
    runs = document["runs"]
    heads = [str(run["options"]["seed"]) + ("" if run["options"]["faults"] else ", no faults") for run in runs]
    lines = [f"| seed | {' | '.join(heads)} |", "|---|" + "---:|" * len(runs)]
    lines += [f"| {name} | {' | '.join(str(figure(run)) for run in runs)} |" for name, figure in rows]
    total = document["summary"]
    lines += [
        "",
        f"In all: {total['messages']} messages ({total['begun']} begun), {total['kills']} kills "
        f"({_counts(total['kills_by_part'])}), {total['opt_outs_acknowledged']} racing opt-outs, "
        f"{'all passed' if total['passed'] else 'NOT all passed'}.",
    ]
    if total["upper_bound"] is not None:
        lines[-1] += (
            f" Nothing found in so many: with 95 % confidence fewer than {total['upper_bound']:.2%} of messages."
        )
    lines += ["", "| lost | losses | first send at p95 | at most |", "|---|---:|---:|---:|"]
    for part, bound in total["recovery_bounds"].items():
        times = [took for run in runs for took in run["recoveries"].get(part, ())]
        if times:
            lines.append(f"| {part} | {len(times)} | {p95(times):.1f} s | {bound:.0f} s |")
    if total["failures"]:
        lines += ["", "What did not hold:", "", *(f"- {words}" for words in total["failures"])]
    return "\n".join(lines)


def _found(run: dict[str, Any], kind: str) -> int:
    return sum(words.startswith(f"{kind}:") for words in run["failures"])
