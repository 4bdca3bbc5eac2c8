"""Policy documents from outside: a name of ours or a text, read whole before anything is done with it."""

from __future__ import annotations

from policies.document import read_document
from policies.policy import BUILT_IN, Policy, PolicyError, load_policy, parse_policy, policy_to_document
from scheduler.errors import Invalid

#: The most characters of a document. One with hundreds of entries is far shorter.
LONGEST = 64 * 1024
#: The most characters of a line. Reading a key of ten thousand parts takes minutes, and a key ends with its line.
LONGEST_LINE = 1000


def read_policy(text: str, *, field: str = "document") -> Policy:
    """The policy that a text states, which may extend nothing but a built-in one: a request names no files of ours.

    Raises Invalid with line and key.
    """
    refuse_length(text, field=field)
    try:
        written = read_document(text, where=field)
        if written.extends is not None and written.extends not in BUILT_IN:
            raise written.error_at_extends(
                f"`{written.extends[:64]}` is a file, and only {' or '.join(BUILT_IN)} can be extended from here"
            )
        return parse_policy(text, where=field)
    except PolicyError as error:
        raise Invalid(str(error), field=field, way_out="correct it there; nothing was stored") from error


def refuse_length(text: str, *, field: str = "document") -> None:
    """Raise Invalid for a text that is not even looked at: too long, or with too long a line."""
    if len(text) > LONGEST:
        raise Invalid(f"is longer than {LONGEST} characters", field=field, way_out="take out what is not needed")
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LONGEST_LINE:
            raise Invalid(
                f"{field}:{number}: is a line of more than {LONGEST_LINE} characters", field=field, way_out="break it"
            )


def read_canonical(document: str) -> Policy:
    """The policy that ``whole_document`` wrote."""
    return parse_policy(document, where="document")


def built_in_policy(name: str, *, field: str = "builtin") -> Policy:
    """The policy that comes with Duly under this name. Raises Invalid."""
    if name not in BUILT_IN:
        raise Invalid(f"`{name[:64]}` is not a built-in policy", field=field, way_out=f"use {' or '.join(BUILT_IN)}")
    return load_policy(name)


def whole_document(policy: Policy) -> str:
    """The policy's canonical form, known to say everything by itself. Raises Invalid where it cannot be read back."""
    document = policy_to_document(policy)
    try:
        alone = read_document(document, where=policy.name).extends is None
        again = parse_policy(document, where=policy.name)
    except PolicyError as error:
        raise Invalid(f"the canonical form of `{policy.name}` cannot be read: {error}", field="policy") from error
    if not alone or again.version != policy.version:
        raise Invalid(f"`{policy.name}` does not say everything by itself", field="policy")
    return document
