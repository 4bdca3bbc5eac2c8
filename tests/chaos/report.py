"""What a whole run of chaos showed, for a person and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.chaos.recovery import BOUNDS, late, p95

_COUNTED = ("outside_policy", "doubled", "lost", "disagreements", "doubts")
_SUMMED = ("messages", "begun", "requests", "accepted", "opt_outs_acknowledged", "unconfirmed", "sending_at_kills")

#: One run as its report has it.
Run = dict[str, Any]


def failures(runs: Sequence[Run]) -> list[str]:
    """Everything that did not hold, over all runs."""
    found = [f"seed {run['options']['seed']}: {words}" for run in runs for words in run["failures"]]
    return found + late(_recoveries(runs))


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """The sums, and whether all of it passed."""
    stormy = [run for run in runs if run["options"]["faults"]]
    kills: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for run in stormy:
        kills.update(run["kills"])
        faults.update(run["faults"])
    summed = {name: sum(run[name] for run in stormy) for name in _SUMMED}
    found = {kind: sum(_found(run, kind) for run in runs) for kind in _COUNTED}
    return {
        "passed": not failures(runs),
        "seeds": [run["options"]["seed"] for run in stormy],
        **summed,
        "kills": sum(kills.values()),
        "kills_by_part": dict(kills.most_common()),
        "faults_by_kind": dict(faults.most_common()),
        "found": found,
        # Nothing found in n messages: with 95 % confidence fewer than 3 in n (rule of three).
        "upper_bound": round(3 / summed["begun"], 6) if summed["begun"] and not any(found.values()) else None,
        "recovery_p95": {part: p95(times) for part, times in _recoveries(runs).items() if times},
        "recovery_bounds": BOUNDS,
        "failures": failures(runs),
    }


def document(runs: Sequence[Run]) -> dict[str, Any]:
    """Summary and every run."""
    return {"summary": summary(runs), "runs": list(runs)}


def as_json(runs: Sequence[Run]) -> str:
    """The same as a file has it."""
    return json.dumps(document(runs), indent=1) + "\n"


def as_text(runs: Sequence[Run]) -> str:
    """The same for a person."""
    lines: list[str] = []
    for run in runs:
        options = run["options"]
        found = ", ".join(f"{kind.replace('_', ' ')} {_found(run, kind)}" for kind in _COUNTED)
        lines += [
            f"seed {options['seed']}{'' if options['faults'] else ' without faults'}: "
            f"{'passed' if run['passed'] else 'FAILED'}",
            f"  {run['messages']} messages, {run['begun']} begun, {run['requests']} requests, "
            f"{run['accepted']} accepted; {sum(run['kills'].values())} kills ({_counts(run['kills'])})",
            f"  {found}",
            f"  unconfirmed {run['unconfirmed']} ({run['unconfirmed_share']:.2%}): sending at a kill "
            f"{run['unconfirmed_sending_at_a_kill']} of {run['sending_at_kills']}, cut off by the line "
            f"{run['unconfirmed_cut_off_by_the_line']}, else {run['unconfirmed_slammed_or_unexplained']}",
            f"  states: {_counts(run['states'])}",
            f"  opt-outs {run['opt_outs_acknowledged']} acknowledged of {run['opt_outs_sent']}, "
            f"{run['races_with_an_opt_out']} races within 250 ms; restarts: {_counts(run['restarts'])}",
        ]
        if run["complaints"]:
            lines.append(f"  in the logs: {_counts(run['complaints'])}")
        lines += [f"  FAILED {words}" for words in run["failures"][:25]]
    lines += [
        f"lost {part}: first send after {p95(times):.1f} s at p95 of {len(times)}, at most {BOUNDS[part]:.0f}"
        for part, times in _recoveries(runs).items()
        if times
    ]
    total = summary(runs)
    lines.append(
        f"{'PASSED' if total['passed'] else 'FAILED'}: {total['messages']} messages and {total['kills']} kills on "
        f"{len(total['seeds'])} seeds; {_counts(total['found'])}"
    )
    return "\n".join(lines)


def _recoveries(runs: Sequence[Run]) -> dict[str, list[float]]:
    return {part: [took for run in runs for took in run["recoveries"].get(part, ())] for part in BOUNDS}


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def as_markdown(runs: Sequence[Run]) -> str:
    """The figures, for ``docs/chaos.md``."""
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
    heads = [str(run["options"]["seed"]) + ("" if run["options"]["faults"] else ", no faults") for run in runs]
    lines = [f"| seed | {' | '.join(heads)} |", "|---|" + "---:|" * len(runs)]
    lines += [f"| {name} | {' | '.join(str(figure(run)) for run in runs)} |" for name, figure in rows]
    total = summary(runs)
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
    lines += [
        f"| {part} | {len(times)} | {p95(times):.1f} s | {BOUNDS[part]:.0f} s |"
        for part, times in _recoveries(runs).items()
        if times
    ]
    if total["failures"]:
        lines += ["", "What did not hold:", "", *(f"- {words}" for words in total["failures"])]
    return "\n".join(lines)


def _found(run: dict[str, Any], kind: str) -> int:
    return sum(words.startswith(f"{kind}:") for words in run["failures"])
