"""``duly demo``: a virtual day and a half of a shop's messaging, judged by the witness."""

from __future__ import annotations

from pathlib import Path

import typer

from scheduler.terminal import Terminal


def command(
    hours: float = typer.Option(36.0, min=6, max=48, help="Virtual hours to play."),
    seconds: float = typer.Option(105.0, min=5, max=3600, help="Real seconds to play them in."),
    people: int = typer.Option(500, min=50, max=5000, help="People who write to the pages."),
    seed: int = typer.Option(7, help="The seed they are made from."),
    plain: bool = typer.Option(False, "--plain", help="Plain lines instead of the live view."),
    kill_worker: bool = typer.Option(False, "--kill-worker", help="Kill the worker in the middle, with SIGKILL."),
    latency: int = typer.Option(0, min=0, max=1500, help="A slow network: real milliseconds to the platform."),
    keep_log: Path | None = typer.Option(
        None, help="Copy the sandbox's log here, for `python -m workers.sandbox judge`."
    ),
) -> None:
    """Play ~36 virtual hours across a change of the clocks on real servers, then print what happened and the verdict.

    Ends with 1 when the witness saw a violation, or when the run did not show what it must.
    """
    # Heavy imports that no other command should wait for.
    from scheduler.demo.report import FULL
    from scheduler.demo.run import Options, run
    from scheduler.supervise.interrupt import interruptible

    console = Terminal()
    options = Options(
        hours=hours, seconds=seconds, people=people, seed=seed, plain=plain, kill_worker=kill_worker, latency=latency,
        keep_log=keep_log,
        expectation=FULL.for_run(hours=hours, people=people),
    )  # fmt: skip
    with interruptible():
        try:
            outcome = run(options, console)
        except KeyboardInterrupt:
            console.print("Stopped; nothing is left running.")
            raise typer.Exit(130) from None
    if outcome.failures:
        raise typer.Exit(1)
