"""``python -m workers.sandbox``: serve the stand-in, or judge a log.

python -m workers.sandbox --port 9000 --log sandbox.jsonl --webhook-url http://127.0.0.1:8000/webhooks/messenger …
python -m workers.sandbox judge sandbox.jsonl
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from workers.sandbox.clock import clock_from
from workers.sandbox.log import Log, LogUnreadable, read_log
from workers.sandbox.witness import judge


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and ends with 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"sandbox: {message}; --help shows the options\n")


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    if argv[:1] == ["judge"]:
        return _judge(_judge_parser().parse_args(argv[1:]).file)
    return _serve(_parser(), _parser().parse_args(argv))


def _judge(path: Path) -> int:
    try:
        verdict = judge(path)
    except LogUnreadable as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2
    lines = [verdict.summary(), verdict.details()]
    lines += [
        f"{each['kind']}: message {each['message']} to {each['psid']} at {each['at']}: {each['detail']}"
        for each in verdict.as_json()["violations"]
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if verdict.violations else 0


def _serve(parser: _Parser, options: argparse.Namespace) -> int:
    # Judging needs none of these.
    import uvicorn

    from workers.sandbox.app import create_app
    from workers.sandbox.line import Line
    from workers.sandbox.people import make_pages, make_people
    from workers.sandbox.stage import Stage
    from workers.sandbox.webhooks import Webhooks
    from workers.sandbox.world import World

    scripted = options.script == "demo"
    count = options.people if options.people is not None else 500 if scripted else 0
    pages = make_pages(options.seed, options.app_secret, options.verify_token)
    world = World({page.id: page for page in pages})
    try:
        clock = clock_from(os.environ)
        log = Log(options.log, fsync=options.fsync)
        world.recall(read_log(options.log))
        listener = socket.create_server((options.host, options.port))
    except (ValueError, LogUnreadable) as error:
        parser.error(str(error))
    except (OSError, OverflowError) as error:
        parser.error(f"cannot use {options.log} or {options.host}:{options.port}: {error}")
    for person in make_people(options.seed, count, pages):
        if person.psid not in world.people:
            log.append(person.record())
            world.learn(person.record())
    stage = Stage(
        world=world,
        clock=clock,
        log=log,
        webhooks=Webhooks(options.webhook_url, options.app_secret, clock),
        seed=options.seed,
    )
    line = Line()
    app = create_app(
        stage, version=options.graph_version, rate=options.rate, scripted=scripted, latency=options.latency, line=line
    )
    config = uvicorn.Config(
        app, http=line.protocol(), ws="none", log_level="warning", access_log=False, timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )  # fmt: skip
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"sandbox: http://{host}:{port}, log {options.log}\n")
    sys.stdout.flush()
    line.serve(config, listener)
    log.close()
    return 0


def _judge_parser() -> _Parser:
    parser = _Parser(prog="sandbox judge", description="Let the witness judge a sandbox's log.", allow_abbrev=False)
    parser.add_argument("file", type=Path, help="the file that --log named")
    return parser


def _parser() -> _Parser:
    parser = _Parser(
        prog="sandbox",
        description="A stand-in for the Messenger Platform; `judge FILE` lets its witness judge a log.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=_whole(0, 65535), default=8090, help="port to listen on; 0 takes a free one")
    parser.add_argument("--log", type=Path, default=Path("sandbox.jsonl"), help="file for everything seen and answered")
    parser.add_argument(
        "--webhook-url", type=_url, default="http://127.0.0.1:8000/webhooks/messenger", help="who is told of events"
    )
    parser.add_argument("--app-secret", type=_word, default="sandbox-app-secret", help="what webhooks are signed with")
    parser.add_argument("--verify-token", type=_word, default="sandbox-verify-token", help="for the handshake")
    parser.add_argument("--seed", type=_whole(0, 2**63 - 1), default=1, help="the same seed makes the same people")
    parser.add_argument(
        "--people", type=_whole(0, 100_000), default=None, help="how many; 500 with the script, else none"
    )
    parser.add_argument("--graph-version", type=_version, default="v26.0", help="the newest version that is served")
    parser.add_argument(
        "--rate", type=_whole(1, 1_000_000), default=300, help="calls a second before a page is throttled"
    )
    parser.add_argument(
        "--latency", type=_whole(0, 10_000), default=0, help="real milliseconds a message is on its way to us"
    )
    parser.add_argument("--no-fsync", dest="fsync", action="store_false", help="answer before the log is on the disk")
    parser.add_argument(
        "--script", choices=("demo", "none"), default="demo", help="none: people act when POST /sandbox/say asks"
    )
    return parser


class _whole:  # noqa: N801 - used as argparse uses a type: a call whose name appears in no message
    """A whole number in a range."""

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    def __call__(self, text: str) -> int:
        if not re.fullmatch(r"\d{1,19}", text) or not self._least <= int(text) <= self._most:
            raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from {self._least} to {self._most}")
        return int(text)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"`{text}` is not an address like http://127.0.0.1:8000/webhooks/messenger")
    return text


def _version(text: str) -> str:
    if not re.fullmatch(r"v\d{1,3}\.\d{1,2}", text):
        raise argparse.ArgumentTypeError(f"`{text}` is not a version like v26.0")
    return text


def _word(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
