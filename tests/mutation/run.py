"""Mutation testing of the engine's heart: ``make mutants``.

mutmut changes one thing at a time in the files below, and the unit and property tests must notice. A change that no
test notices must be in ``explained.toml`` with the reason why it makes no difference; what is listed there and is
noticed after all must go. Everything happens in copies under ``.duly/mutation``, one for each group of files.
"""

from __future__ import annotations

import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = ROOT / ".duly" / "mutation"
ASKING = Path(__file__).with_name("asking.py")
EXPLAINED = Path(__file__).with_name("explained.toml")
#: What must notice a change: fast tests, and in one process. (Another reading on random facts is too slow to ask.)
NOTICERS = (
    *(
        f"tests/unit/policies/test_{name}.py"
        for name in (
            "caps_and_gaps", "corners", "consent", "facts_and_findings", "findings_to_the_letter",
            "forecast_and_clauses",
            "grounds", "handover", "holiday_hours", "local_time", "memory_and_edges", "places_and_packs",
            "quiet_hours", "slots", "unknown_zone", "what_changes_would_break", "verdicts_and_blame",
        )
    ),
    "tests/properties/test_sets_and_decisions.py", "tests/properties/test_interval_laws.py",
    "tests/properties/test_cases_by_hand.py", "tests/properties/test_short_way.py",
)  # fmt: skip
#: What is changed, and what must notice it.
GROUPS = {
    "parts": (
        ("policies/intervals.py", "policies/local_time.py", "policies/engine.py", "policies/rules/*.py"),
        NOTICERS,
    ),
    "quick": (
        ("policies/quick.py", "policies/plain.py", "policies/plain_blame.py", "policies/stretches.py"),
        ("tests/properties/test_short_way.py", "tests/unit/policies/test_memory_and_edges.py"),
    ),
}
#: Where the general path is not changed: what it decides is worked out once, and not for every mutant anew.
AHEAD = ("quick",)
#: mutmut's exit codes that mean that a test noticed: it failed, or never came to an end.
NOTICED = (1, 3, -24, 24, 36, 152, 255)
SETTINGS = """
[tool.pytest.ini_options]
minversion = "9.0"
pythonpath = ["."]
addopts = "--import-mode=importlib --strict-markers --strict-config -p no:cacheprovider -p no:timeout"
filterwarnings = ["error"]

[tool.mutmut]
source_paths = ["policies"]
also_copy = ["policies", "docs", "scheduler", "workers"]
only_mutate = {only}
pytest_add_cli_args_test_selection = {tests}
process_isolation = "forkserver"
"""


@dataclass(frozen=True, order=True)
class Mutant:
    """A change that was tried: the file, the function, and the lines that went and came."""

    file: str
    function: str
    was: str
    now: str

    def told(self) -> str:
        return f"{self.file}, {self.function}\n  - {self.was}\n  + {self.now}"


def prepare(place: Path, only: tuple[str, ...], tests: tuple[str, ...]) -> None:
    """A copy of what is changed and of what must notice."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for folder in ("policies", "tests", "docs", "scheduler", "workers"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ASKING, place / "tests" / "conftest.py")  # ours starts servers
    settings = SETTINGS.format(only=json.dumps(only), tests=json.dumps(tests))
    (place / "pyproject.toml").write_text(settings, encoding="utf-8")


def results(place: Path) -> tuple[dict[Mutant, list[str]], int, list[str]]:
    """The mutants that nobody noticed with mutmut's names for them, how many there were, and those that went wrong."""
    survived: dict[Mutant, list[str]] = {}
    count, wrong = 0, []
    for meta in sorted((place / "mutants").rglob("*.meta")):
        file = meta.with_suffix("")
        codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        count += len(codes)
        sources = functions(file) if any(code == 0 for code in codes.values()) else {}
        for name, code in codes.items():
            if code == 0:
                found = described(str(file.relative_to(place / "mutants")), name.rsplit(".", 1)[1], sources)
                survived.setdefault(found, []).append(name)
            elif code not in NOTICED:
                wrong.append(f"{name}: exit code {code}")
    return survived, count, wrong


def functions(file: Path) -> dict[str, list[str]]:
    """The source lines of every version of every function in a file that mutmut wrote, by its name there."""
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    return {
        node.name: lines[node.lineno - 1 : node.end_lineno]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and "__mutmut_" in node.name
    }


def described(file: str, name: str, sources: dict[str, list[str]]) -> Mutant:
    plain, _, _ = name.rpartition("__mutmut_")
    before, after = sources[f"{plain}__mutmut_orig"][1:], sources[name][1:]
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "-+"]
    was, now = (" ".join(line[2:].strip() for line in changed if line[0] == sign) for sign in "-+")
    return Mutant(
        file=file,
        function=plain.removeprefix("x_").removeprefix("xǁ").replace("ǁ", "."),
        was=was,
        now=now,
    )


def explained() -> dict[Mutant, str]:
    if not EXPLAINED.exists():
        return {}
    listed = tomllib.loads(EXPLAINED.read_text(encoding="utf-8")).get("mutant", [])
    return {Mutant(each["file"], each["function"], each["was"], each["now"]): each["why"] for each in listed}


def tried(group: str, *, resume: bool = False) -> list[str]:
    """What went wrong with one group of files, as lines to print; the last line, which is always there, counts.

    ``resume``: go on with the copy and the results of a run that was stopped.
    """
    (only, tests), place = GROUPS[group], PLACES / group
    if not (resume and place.exists()):
        prepare(place, only, tests)
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", "2"]
    settings = os.environ | ({"WORKED_OUT_AHEAD": "1"} if group in AHEAD else {})
    with (place / "run.log").open("w") as log:
        run = subprocess.run(command, cwd=place, env=settings, stdout=log, stderr=subprocess.STDOUT, check=False)
    survived, count, wrong = results(place)
    files = {str(path.relative_to(ROOT)) for each in only for path in ROOT.glob(each)}
    reasons = {mutant: why for mutant, why in explained().items() if mutant.file in files}
    unexplained, gone = sorted(set(survived) - set(reasons)), sorted(set(reasons) - set(survived))
    lines = [mutant.told() + f"\n  ({', '.join(survived[mutant])})" for mutant in unexplained]
    lines += ["no longer survives: " + mutant.told() for mutant in gone]
    lines += wrong
    if run.returncode or not count:
        lines.append(f"mutmut failed; see {place / 'run.log'}")
    living = sum(map(len, survived.values()))
    unknown = sum(len(survived[each]) for each in unexplained)
    lines.append(
        f"{', '.join(only)}: {count} mutants, {count - living - len(wrong)} noticed, {living} survived, "
        f"{living - unknown} of them explained; {len(gone)} explanations out of date"
    )
    return lines


def main() -> int:
    """Try the groups named, or all; ``--resume`` goes on where a run was stopped.

    Exit 1 where a change went unnoticed and unexplained, or an explanation is out of date.
    """
    named = [each for each in sys.argv[1:] if each != "--resume"]
    lines = {name: tried(name, resume="--resume" in sys.argv) for name in named or GROUPS}
    sys.stdout.write("\n".join(line for each in lines.values() for line in each) + "\n")
    return 1 if any(len(each) > 1 for each in lines.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
