"""Builds nothing that cannot be used: reads every pack first, and fails with the file, line and key of a wrong one."""

from __future__ import annotations

import sys

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ReadThePacks(BuildHookInterface):  # type: ignore[type-arg]  # hatchling finds the one subclass by itself
    """Run before each wheel and sdist, and before an editable install."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, object]) -> None:  # noqa: ARG002 - hatchling's signature
        """Read the packs of the tree that is built, whatever is installed. Raises SystemExit where one is wrong."""
        sys.path.insert(0, self.root)
        try:
            # Only here: what builds the project has not got it installed.
            from policies.pack_files import check_packs
            from policies.toml_source import PolicyError

            try:
                count = check_packs()
            except PolicyError as error:
                raise SystemExit(f"a pack cannot be read: policies/{error}") from error
            self.app.display_info(f"{count} packs can be read")
        finally:
            sys.path.remove(self.root)
