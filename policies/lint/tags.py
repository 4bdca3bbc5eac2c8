"""Message tags that the platform no longer takes, wherever a document names one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.lint.remark import Remark
from policies.platform_pack import platform_pack, platform_packs

#: It may be sent by people alone.
_HUMAN = "HUMAN_AGENT"


def check_tags(text: str, where: str) -> Iterator[Remark]:
    """A remark for each line that names one; the text need not be a policy that can be read."""
    tags = {tag.name: tag for name in platform_packs() for tag in platform_pack(name).retired_tags}
    for number, line in enumerate(text.splitlines(), start=1):
        code, _, _ = line.partition("#")
        for name in (*tags, _HUMAN):
            if not re.search(rf"(?<![A-Za-z]){name}(?![A-Za-z])", line, re.IGNORECASE):
                continue
            used = re.search(rf"(?<![A-Za-z]){name}(?![A-Za-z])", code, re.IGNORECASE)
            key = code.partition("=")[0].strip() if "=" in code else ""
            if name == _HUMAN and name not in tags:
                message = f"the tag {name} is for people alone; Duly never sends a tag; use a utility template"
            else:
                since, instead = tags[name].since, tags[name].instead
                message = f"the tag {name} returns error 100 since {since}; Duly never sends a tag; use {instead}"
            yield Remark(
                where=where, line=number, key=key, level="warning" if used else "notice", kind="retired_tag",
                message=message,
            )  # fmt: skip
