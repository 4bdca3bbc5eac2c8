"""The commands of docs/api.md, run as they stand there against everything that `duly up --sandbox` starts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from scheduler.supervise.first_key import first_key
from scheduler.supervise.stack import SandboxOptions, Stack
from tests.patience import patience

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("database_url", "redis_url")
def test_every_command_of_the_guide_to_the_api_does_what_it_says(tmp_path: Path) -> None:
    guide, errors = (ROOT / "docs/api.md").read_text(encoding="utf-8").split("## Errors")
    runs, refused = ("\n".join(re.findall(r"```sh\n(.*?)```", part, re.DOTALL)) for part in (guide, errors))
    assert runs.count("api ") > 15
    with Stack(data_dir=tmp_path, port=0, sandbox=SandboxOptions(), patience=0.5) as stack:
        key, _path = first_key(tmp_path)
        setup = f"DULY={stack.web_url}\nSANDBOX={stack.sandbox_url}\nKEY={key}\n"
        script = f"{setup}{runs}\necho '## Errors'\n{refused}"
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(".venv/bin/python", "python3")],
            cwd=ROOT, capture_output=True, text=True, timeout=patience(90), check=False,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    well, badly = ran.stdout.split("## Errors")
    assert "urn:duly:problem" not in well, well
    assert '"status":"running"' in well
    assert '"findings"' in well
    for said in re.findall(r'"detail":"(.*?)",', errors):
        assert said in badly, badly
