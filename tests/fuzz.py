"""``python -m tests.fuzz``: Schemathesis asks a running stack whatever its description allows, and what it forbids.

python -m tests.fuzz                         three minutes over every address
python -m tests.fuzz --seconds 30 -- --include-path-regex contacts   some, and more words for `st run`

Exit code 1 where an answer was a 5xx, or one that the description does not name.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

from scheduler.lineage.start import keep_marks
from scheduler.supervise.first_key import first_key
from scheduler.supervise.interrupt import interruptible
from scheduler.supervise.stack import SandboxOptions, Stack
from tests.patience import patience

#: What every answer must be: none of them 5xx, each as the description says.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_PAGE = {
    "external_id": "1001", "name": "Shop", "token": "EAAB" + "fuzzed" * 8, "app_external_id": "77",
    "app_secret": "the-secret-of-the-fuzzed-app-000", "verify_token": "the-verify-token-of-the-fuzzed-app",
    "mode": "live",
}  # fmt: skip


def main(argv: list[str]) -> int:
    """Run it; the exit code of ``st run``."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=int, default=180, help="real seconds that it takes at most")
    parser.add_argument("--seed", type=int, default=20261121, help="of what is asked")
    parser.add_argument("more", nargs="*", help="more words for `st run`, after --")
    given = parser.parse_args(argv)
    # The rate of one key is tested elsewhere.
    keep_marks()
    os.environ["DULY_KEY_RATE"] = "1000000/minute"
    with tempfile.TemporaryDirectory(prefix="duly-fuzz-") as folder:
        stack = Stack(
            data_dir=Path(folder) / "data", port=0, embedded=True, durable=False, throwaway=True,
            sandbox=SandboxOptions(people=0, script="none", fsync=False),
        )  # fmt: skip
        try:
            stack.start()
            key, _ = first_key(stack.data_dir)
            headers = {"Authorization": f"Bearer {key}"}
            made = requests.post(f"{stack.web_url}/api/v1/pages", json=_PAGE, headers=headers, timeout=patience(15))
            made.raise_for_status()
            return _fuzz(stack.web_url, key, given.seconds, given.seed, given.more, Path(folder))
        finally:
            stack.stop()


def _fuzz(url: str, key: str, seconds: int, seed: int, more: list[str], folder: Path) -> int:
    # The key in a file of its own, not among the words of a command.
    config = folder / "schemathesis.toml"
    config.write_text(f'headers = {{ Authorization = "Bearer {key}" }}\n')
    st = Path(sys.executable).with_name("st")
    argv = [
        str(st), "--config-file", str(config), "run", f"{url}/openapi.json", "--checks", CHECKS,
        "--max-time", str(seconds),
        "--seed", str(seed), "--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-shrink",
        "--request-timeout", "30", "--warnings", "off", *more,
    ]  # fmt: skip
    return subprocess.run(argv, cwd=folder, check=False).returncode


if __name__ == "__main__":
    with interruptible():
        sys.exit(main(sys.argv[1:]))
