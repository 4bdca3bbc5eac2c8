"""Groups of commands that load only the one that is asked for: ``duly --help`` must not start a database client."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from scheduler.errors import Invalid


class LoadingGroup(TyperGroup):
    """Finds commands in the modules of a package. Each has ``app`` (a group) or ``command``, and perhaps
    ``COMMAND_SETTINGS``."""

    #: The package that holds the modules.
    package: ClassVar[str]
    #: The modules, in the order of the help; those that are not there are left out.
    modules: ClassVar[tuple[str, ...]]

    _listing = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help: a list of commands needs only what each says of itself."""
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands. ``ctx`` is a context of the Click that Typer ships, a private module."""
        return [*super().list_commands(ctx), *(name for name in self.modules if self._exists(name))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command called ``cmd_name``, or None."""
        if cmd_name in self.modules and self._exists(cmd_name):
            if self._listing:
                return TyperCommand(cmd_name, help=_said(self._path(cmd_name)))
            return _load(self._path(cmd_name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that ``args`` begin with. An unknown one is refused with the nearest there is."""
        refuse_unknown(ctx, args, self.get_command, self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def _exists(self, name: str) -> bool:
        return importlib.util.find_spec(self._path(name)) is not None

    def _path(self, name: str) -> str:
        return f"{self.package}.{name.replace('-', '_')}"


def refuse_unknown(ctx: Any, args: Sequence[str], find: Callable[[Any, str], Any], known: Sequence[str]) -> None:
    """Raise Invalid, with the nearest of ``known``, when ``args`` begin with no command."""
    name = args[0] if args else ""
    if name and not name.startswith("-") and find(ctx, name) is None and not ctx.resilient_parsing:
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"`{ctx.command_path} --help` lists the commands"
        raise Invalid(f"there is no command `{name[:64]}`", way_out=hint)


def _load(path: str, name: str) -> Any:
    module = importlib.import_module(path)
    group = getattr(module, "app", None)
    loaded: Any
    if group is not None:
        loaded = typer.main.get_group(group)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name, **getattr(module, "COMMAND_SETTINGS", {}))(module.command)
        loaded = typer.main.get_command(alone)
    loaded.name = name
    return loaded


def _said(path: str) -> str | None:
    """What a module says of its command, read without running it: its ``help=``, or the docstring of ``command``."""
    spec = importlib.util.find_spec(path)
    if spec is None or spec.origin is None:
        return None
    found = None
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name="command"):
                found = found or ast.get_docstring(node)
            case ast.Assign(targets=[ast.Name(id="app")], value=ast.Call(keywords=keywords)):
                found = next((_text(each.value) for each in keywords if each.arg == "help"), found)
            case (
                ast.Assign(targets=[ast.Name(id="COMMAND_SETTINGS")], value=ast.Dict(keys=keys, values=values))
                | ast.AnnAssign(target=ast.Name(id="COMMAND_SETTINGS"), value=ast.Dict(keys=keys, values=values))
            ):
                named = {_text(key): value for key, value in zip(keys, values, strict=True)}
                found = _text(named.get("help")) or found
            case _:
                pass
    return found


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
