"""One place prints: what others wrote goes to a terminal through it alone."""

from __future__ import annotations

import ast
from pathlib import Path

import scheduler

_ROOT = Path(scheduler.__file__).parent
_FORBIDDEN = {("typer", "echo"), ("typer", "secho"), ("typer", "confirm"), ("click", "echo"), ("click", "secho")}


def test_the_command_line_and_the_demo_print_through_scheduler_terminal() -> None:
    found = []
    for folder in ("cli", "demo"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                called = node.func
                if isinstance(called, ast.Name) and called.id in ("print", "Console"):
                    found.append(f"{path.relative_to(_ROOT)}:{node.lineno} {called.id}")
                elif (
                    isinstance(called, ast.Attribute)
                    and isinstance(called.value, ast.Name)
                    and (called.value.id, called.attr) in _FORBIDDEN
                ):
                    found.append(f"{path.relative_to(_ROOT)}:{node.lineno} {called.value.id}.{called.attr}")
    assert found == []
