"""The policy document: what it says, once it is parsed and known to be possible.

Its version is the SHA-256 of its canonical form: the whole document with what it extends written out, entries sorted by
id, durations, hours and categories in one spelling (``policies.readers``). Two files that mean the same have the same
version.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from policies.document import Document, canonical_text, read_document
from policies.platform_pack import PlatformPack, platform_pack
from policies.terms import Cap, Gap, Hours, UnknownZone
from policies.toml_source import PolicyError

if TYPE_CHECKING:
    from policies.binding import Binding
    from policies.plain import Plain

__all__ = ["BUILT_IN", "Policy", "PolicyError", "load_policy", "parse_policy", "policy_to_document"]

#: The names that ``load_policy`` and ``extends`` know without a file.
BUILT_IN = ("default", "platform-only")

#: The most files that may extend one another in a row: more is a mistake, and nobody could read it.
_LONGEST_CHAIN = 20

#: What decides the binding of a decision: see ``policies.binding``.
BindingKey = tuple[tuple[str, ...], int | None, str | None, str | None, str]
#: The same with a chunk of time: see ``policies.plain``.
PlainKey = tuple[tuple[str, ...], int | None, str | None, str | None, str, int]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy. A value: it never changes, and parsing its document again gives an equal one."""

    name: str
    #: The seconds that the messaging window stays open: the platform's, less the house's margin.
    window: int
    margin: int
    #: "courtesy", "legal" or "off": which jurisdictions' hours and caps bind.
    jurisdictions: str
    packs: tuple[str, ...]
    hours: tuple[Hours, ...]
    caps: tuple[Cap, ...]
    gaps: tuple[Gap, ...]
    unknown_zone: UnknownZone
    #: "inbound" or "packs": which consent a promotional message asks for.
    consent: str
    #: Seconds from a person's last message in a conversation until automation may speak again. None: when handed back.
    handover_timeout: int | None
    #: The first message after a Click-to-Messenger advertisement opens the platform's longer window.
    click_to_messenger: bool
    utility_categories: tuple[str, ...]
    window_citation: str
    utility_citation: str
    #: The canonical form.
    document: str = field(repr=False)
    #: The version under which it was stored, where an earlier Duly spelt its canonical form otherwise.
    known_as: str | None = field(default=None, repr=False, compare=False)
    #: What was worked out for places and categories before. Not part of the value.
    bindings: dict[BindingKey, Binding] = field(default_factory=dict, repr=False, compare=False, hash=False)
    plains: dict[PlainKey, Plain] = field(default_factory=dict, init=False, repr=False, compare=False, hash=False)

    @cached_property
    def platform(self) -> PlatformPack:
        """The rules of the platform that is sent through."""
        return platform_pack(self.packs[0])

    @cached_property
    def version(self) -> str:
        """SHA-256 of the canonical form, in hex; of a stored policy the version that its decisions name."""
        return self.known_as or hashlib.sha256(self.document.encode()).hexdigest()


def load_policy(name_or_path: str | Path) -> Policy:
    """The built-in policy of this name, or the one in this file.

    Raises PolicyError naming file, line and key where the document is wrong or missing.
    """
    if isinstance(name_or_path, str) and name_or_path in BUILT_IN:
        return parse_policy(built_in_text(name_or_path), where=f"{name_or_path}.policy.toml")
    path = Path(name_or_path)
    return parse_policy(
        _read(path, missing=f"there is no such file or built-in policy: {', '.join(BUILT_IN)}"), where=str(path)
    )


def parse_policy(text: str, *, where: str) -> Policy:
    """The policy that ``text`` states. ``where`` names it in errors; a relative ``extends`` is looked for beside it.

    Raises PolicyError naming file, line and key.
    """
    return _policy(_extended(text, where, ()))


def policy_to_document(policy: Policy) -> str:
    """The policy's canonical form, which ``parse_policy`` reads back to an equal policy of the same version."""
    return policy.document


def _policy(document: Document) -> Policy:
    pack = platform_pack(document.packs[0])
    return Policy(
        name=document.name,
        window=pack.window - document.margin,
        margin=document.margin,
        jurisdictions=document.jurisdictions,
        packs=document.packs,
        hours=document.hours,
        caps=document.caps,
        gaps=document.gaps,
        unknown_zone=document.unknown_zone,
        consent=document.consent,
        handover_timeout=document.handover_timeout,
        click_to_messenger=document.click_to_messenger,
        utility_categories=pack.utility_categories,
        window_citation=pack.window_citation,
        utility_citation=pack.utility_citation,
        document=canonical_text(document),
    )


def _extended(text: str, where: str, chain: tuple[Path, ...]) -> Document:
    own = read_document(text, where=where)
    if own.extends is None:
        return own.completed(None)
    if own.extends in BUILT_IN:
        base_text, base_where = built_in_text(own.extends), f"{own.extends}.policy.toml"
    else:
        path = Path(where).parent / own.extends
        base_where = str(path)
        chain = (*chain, Path(where).resolve())
        if path.resolve() in chain:
            raise own.error_at_extends(f"`{own.extends}` extends this file in turn")
        if len(chain) > _LONGEST_CHAIN:
            raise own.error_at_extends(f"at most {_LONGEST_CHAIN} files may extend one another in a row")
        try:
            base_text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            if path.exists():
                raise own.error_at_extends(f"`{own.extends}` cannot be read: {error}") from error
            raise own.error_at_extends(
                f"`{own.extends}` is neither a built-in policy ({', '.join(BUILT_IN)}) nor a file beside this one"
            ) from error
    return own.completed(_extended(base_text, base_where, chain))


def built_in_text(name: str) -> str:
    """The document of the built-in policy of this name, as it is written."""
    return resources.files("policies").joinpath("builtin", f"{name}.policy.toml").read_text(encoding="utf-8")


def _read(path: Path, *, missing: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PolicyError(str(path), 0, "", missing) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(str(path), 0, "", f"cannot be read: {error}") from error
