"""The documents speak of what is there: addresses, commands, options, reason codes, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from policies.policy import parse_policy
from scheduler.api.app import create_app
from scheduler.cli import main
from scheduler.outbox.states import STATES

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _commands() -> Iterator[tuple[str, Any]]:
    root: Any = typer.main.get_command(main.app)
    for name in root.list_commands(None):
        command = root.get_command(None, name)
        if not hasattr(command, "list_commands"):
            yield f"duly {name}", command
            continue
        for sub in command.list_commands(None):
            found = command.get_command(None, sub)
            if not found.hidden:
                yield f"duly {name} {sub}", found


def test_every_address_of_the_api_is_in_its_guide() -> None:
    guide = _text("docs/api.md")
    missing = [
        path
        for path in create_app().openapi()["paths"]
        if not re.search(rf"{re.escape(path[7:] if path.startswith('/api/v1') else path)}[`, ]", guide)
    ]
    assert missing == []


def test_every_command_and_option_is_in_the_guide_to_the_command_line() -> None:
    guide = _text("docs/cli.md")
    for command, found in _commands():
        assert f"`{command}" in guide, command
        for option in found.params:
            if option.param_type_name == "option" and option.name != "as_json":
                assert f"`{option.opts[-1]}" in guide, f"{command} {option.opts[-1]}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_files_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    known = {command for command, _ in _commands()} | {command.rsplit(" ", 1)[0] for command, _ in _commands()}
    for line in re.findall(
        r"\bduly ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", " ".join(re.findall(r"`[^`\n]*`|^ {4}.*$", text, re.M))
    ):
        said = f"duly {line}"
        assert said in known or f"duly {line.split()[0]}" in known, said
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / target).exists(), target
    for path, _, name in re.findall(r"`((?:policies|scheduler|workers|docs)/[\w/.-]+\.\w+)(:(\w+))?`", text):
        assert (ROOT / path).exists(), path
        assert not name or re.search(rf"(def|class) {name}\b", _text(path)), f"{path}:{name}"


def test_the_policy_that_the_guide_shows_can_be_read() -> None:
    shown = re.search(r"```toml\n(.*?)```", _text("docs/policies.md"), re.DOTALL)
    assert shown is not None
    assert parse_policy(shown[1], where="docs/policies.md").name == "our-shop"


def test_every_reason_and_state_is_in_the_guides() -> None:
    guide = _text("docs/policies.md")
    rules = "".join(_text(f"policies/{file}.py") for file in ("blame", "rules/suppression", "rules/kill_switch"))
    for code in {*re.findall(r'"(window_\w+)"', rules), *re.findall(r'^    "(\w+)": "', rules, re.MULTILINE)}:
        assert f"`{code}`" in guide, code
    diagram = _text("docs/architecture.md")
    assert all(state in diagram for state in STATES)
