"""What the supervisor hands to the sandbox is understood by it, whatever chance made of it."""

from __future__ import annotations

import json
from pathlib import Path

from scheduler.supervise.stack import SandboxOptions, Stack
from workers.sandbox.__main__ import _parser


def test_secrets_that_begin_with_a_dash_are_secrets_and_no_options(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").write_text(json.dumps({"app_secret": "-s", "verify_token": "--help"}))
    stack = Stack(data_dir=tmp_path, port=0)
    stack.web_url = "http://127.0.0.1:8000"
    program = stack._sandbox_program(SandboxOptions(), "http://127.0.0.1:9000")
    given = _parser().parse_args(program._argv[3:])
    assert (given.app_secret, given.verify_token, given.port) == ("-s", "--help", 9000)
