"""Groups of commands that load only the one that is asked for: ``duly --help`` must not start a database client."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup


class LoadingGroup(TyperGroup):
    """Finds commands in the modules of a package. Each has ``app`` (a group) or ``command``, and perhaps
    ``COMMAND_SETTINGS``."""

    #: The package that holds the modules.
    package: ClassVar[str]
    #: The modules, in the order of the help; those that are not there are left out.
    modules: ClassVar[tuple[str, ...]]

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands. ``ctx`` is a context of the Click that Typer ships, a private module."""
        return [*super().list_commands(ctx), *(name for name in self.modules if self._exists(name))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command called ``cmd_name``, or None."""
        if cmd_name in self.modules and self._exists(cmd_name):
            return _load(self._path(cmd_name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def _exists(self, name: str) -> bool:
        return importlib.util.find_spec(self._path(name)) is not None

    def _path(self, name: str) -> str:
        return f"{self.package}.{name.replace('-', '_')}"


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
