"""What others wrote cannot command a terminal: it is written out in tables, sentences, JSON, errors and logs."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text

from scheduler import logs
from scheduler.cli.output import echo_json, print_table
from scheduler.neutral import plain, plain_but_styles
from scheduler.terminal import Terminal, echo

#: Clears the screen, renames the window, hides what follows, turns the line round, goes back, is a C1 control.
_NASTY = "Ana\x1b[2J\x1b]0;owned\x07\x1b[8m\u202egnp.exe\x08\r\x9b31m\x7f"
_OBEYED = ("\x1b", "\x07", "\x08", "\r", "\x9b", "\x7f", "\u202e")


def test_controls_are_written_out_and_letters_of_all_scripts_stay() -> None:
    assert plain("a\x1b[2Jb") == "a\\u001b[2Jb"
    for text in ("plain", "Zoë, 你好\n\tשלום \u200fمرحبا", "🛑 \u200d 👩\u200d🚀"):
        assert plain(text) == text
    assert plain_but_styles("\x1b[31mred\x1b[0m\x1b[2J") == "\x1b[31mred\x1b[0m\\u001b[2J"


def test_whatever_prints_is_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    echo(f"added {_NASTY}")
    echo(f"error: {_NASTY}", err=True, fg="red", color=False)
    echo_json({"name": _NASTY})
    print_table(("name",), [(f"{_NASTY}\nroot",)], none="nobody")
    drawn = Terminal(file=io.StringIO(), force_terminal=True, width=200, color_system="truecolor")
    table = Table()
    table.add_column(_NASTY)
    table.add_row(Text(_NASTY, style="red"))
    drawn.print(table)
    drawn.print(f"hello {_NASTY}", markup=False, style="bold")
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert not any(control in text for control in _OBEYED)
    assert "\\nroot" in said.out
    on_terminal = drawn.file.getvalue()  # type: ignore[attr-defined]
    # The styles are rich's own; nothing else is obeyed.
    assert not any(sequence in on_terminal for sequence in ("\x1b[2J", "\x1b]0", "\x1b[8m"))
    assert not any(control in on_terminal for control in _OBEYED[1:])


def test_json_says_the_same_to_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json({"name": _NASTY})
    assert json.loads(capsys.readouterr().out) == {"name": _NASTY}


@pytest.mark.parametrize("style", ["console", "json"])
def test_log_lines_are_harmless(style: Any) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    lines = io.StringIO()
    try:
        logs.configure("info", style, lines)
        logs.get_logger("test").warning("odd", said=_NASTY, many=[_NASTY])
        logging.getLogger("library").warning("got %s", _NASTY)
    finally:
        root.handlers[:], _ = before, root.setLevel(level)
    assert not any(control in lines.getvalue() for control in _OBEYED)
    assert len(lines.getvalue().splitlines()) == 2


def test_a_long_text_in_a_log_is_cut_before_it_is_looked_through() -> None:
    cut = logs.clean("invalid input " * 100_000 + "the end")
    assert isinstance(cut, str)
    assert len(cut) < logs.LONGEST + 100
    assert cut.endswith("the end")
    assert logs.clean("ask mara@example.com or " + "a" * 16_000) == "ask [email] or " + "a" * 16_000
