"""``duly up``: everything on this machine, on the real clock, until Ctrl-C."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import typer

from scheduler import logs, settings
from scheduler.terminal import Terminal


def command(
    host: str | None = typer.Option(None, help="The address to listen on."),
    port: int | None = typer.Option(None, help="The port to listen on; 0 takes a free one."),
    sandbox: bool = typer.Option(False, "--sandbox", help="Deliver to a stand-in for the Messenger Platform."),
    seed_demo: bool = typer.Option(
        False, "--seed-demo", help="Fill it with a shop's pages, people and a drafted campaign, on the stand-in."
    ),
) -> None:
    """Run everything here: PostgreSQL, Redis, web, worker and beat. Ctrl-C stops it all.

    PostgreSQL and Redis are embedded unless DULY_DATABASE_URL and DULY_REDIS_URL are set. Data stays in DULY_DATA_DIR.
    """
    # Heavy imports that no other command should wait for.
    from scheduler.supervise.first_key import first_key
    from scheduler.supervise.interrupt import interruptible
    from scheduler.supervise.stack import SandboxOptions, SandboxSecrets, Stack

    settings.command_line(host=host, port=port)
    here = settings.get_settings()
    logs.configure(here.log_level, here.log_format)
    console = Terminal()
    # A folder that was once filled for the stand-in holds pages that exist nowhere else.
    played = SandboxOptions() if sandbox or seed_demo or SandboxSecrets.kept(here.data_dir) else None
    with interruptible():
        try:
            with ExitStack() as running:
                starting = "Starting PostgreSQL, Redis, web, worker and beat …"
                if not console.is_terminal:
                    console.print(starting)
                with console.status(starting) as status:
                    stack = running.enter_context(Stack(sandbox=played))
                    key, path = first_key(stack.data_dir)
                    if seed_demo and stack.sandbox_url is not None:
                        status.update("Opening the demo's shop …")
                        _fill(stack.web_url, key, stack.sandbox_url)
                for name, address in stack.addresses.items():
                    console.print(f"{name:>10}  {address}")
                if stack.taken_port is not None:
                    console.print(f"{'note':>10}  port {stack.taken_port} is in use; another was taken")
                console.print(f"{'API key':>10}  in {path}")
                console.print(f"{'logs':>10}  {stack.data_dir / 'logs'}")
                if seed_demo:
                    console.print(f"{'next':>10}  duly campaign preview 1, in another terminal")
                console.print("Ctrl-C stops everything.")
                threading.Event().wait()
        except KeyboardInterrupt:
            console.print("Stopped; nothing is left running.")


def _fill(web_url: str, key: str, sandbox_url: str) -> None:
    """Open the demo's shop, unless it is open already, and let its people begin to write."""
    from scheduler.demo.shop import Platform, Shop
    from scheduler.demo.story import Cast, open_shop

    shop, platform = Shop(web_url, key), Platform(sandbox_url)
    try:
        if not shop.call("GET", "/pages")["items"]:
            cast = Cast(shop=shop, platform=platform)
            open_shop(cast)
            draft = {"name": "Spring collection", "template": "we_miss_you", "audience": "everyone"}
            shop.call("POST", f"/pages/{cast.pages[0]['id']}/campaigns", draft)
        platform.play()
    finally:
        shop.close()
        platform.close()
