"""The texts that can decide under a policy, each by its name, and those behind one decision."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from policies.explain import explain
from policies.facts import Facts
from policies.law import binding_caps, binding_consent, binding_hours, jurisdictions_with_packs
from policies.policy import Policy
from policies.rules.rule import clause_of
from policies.terms import Cap, Gap, Hours, duration
from policies.wording import entry_words

#: What each mode for zones that are not known does with several: a fallback serves only where there is no evidence.
_SEVERAL = {"all_candidates": "all_candidates", "hold": "hold", "fallback": "all_candidates"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A text that can decide: an entry of the policy, a ground of the platform, a row of a pack, a rule by itself."""

    #: As in ``Finding.clause``.
    id: str
    #: The rule that reads it.
    rule: str
    words: str
    citation: str | None
    #: By what it binds: "house", "platform", a pack's basis such as "statute"; None: by no text.
    basis: str | None
    #: Whose law it is; None where it is none.
    jurisdiction: str | None


def clauses(policy: Policy, jurisdictions: Collection[str] | None = None) -> tuple[Clause, ...]:
    """Everything that can decide under the policy, with the pack rows of these jurisdictions, or of all; by rule."""
    codes = sorted(jurisdictions_with_packs() if jurisdictions is None else jurisdictions)
    return (
        *_rules(policy),
        *_platform(policy),
        *_house(policy),
        *(row for code in codes for row in _law(policy, code)),
    )


def deciding(policy: Policy, facts: Facts, now: int, *, min_remaining: int = 0) -> tuple[str, ...]:
    """The ids of the clauses behind the decision at ``now``, epoch seconds UTC.

    ``send``: the text of the ground it goes on. Otherwise, of what each blamed rule read, what does not permit;
    all of it, where the rule permits now but closes too early.
    """
    decision, findings = explain(policy, facts, now, min_remaining=min_remaining)
    if decision.verdict == "send":
        return tuple(found.clause for found in findings if found.rule == "messaging_window")
    named: dict[str, None] = {}
    for rule in decision.because:
        # What is only told decides nothing.
        said = [found for found in findings if found.rule == rule and "duty" not in found.numbers]
        shut = [found for found in said if not found.permits_now]
        named.update(dict.fromkeys(found.clause for found in shut or said))
    return tuple(named)


def _rules(policy: Policy) -> Iterator[Clause]:
    yield _rule("suppression", "opted out, blocked, unreachable, erased or not on the allow-list: never")
    yield _rule("kill_switch", "a switch, a pause or a stopped page: not until somebody lets go")
    yield _rule("schedule", "the message's own times: not before, and not from its expiry on")
    yield _rule("handover", "a person has the conversation: not until it is handed back")
    if policy.handover_timeout is not None:
        words = f"{duration(policy.handover_timeout)} after the person of the team last wrote, messages may go again"
        yield _clause("handover.timeout", "handover", words, basis="house")
    unknown = policy.unknown_zone
    assumed = f"; where nothing tells one: {unknown.zone}" if unknown.zone else ""
    yield _rule("unknown_zone", f"where several time zones are possible: {_SEVERAL[unknown.mode]}{assumed}")
    if policy.consent == "packs" and policy.jurisdictions != "off":
        yield _rule("consent", "where nothing tells the country, promotional messages need express consent")


def _platform(policy: Policy) -> Iterator[Clause]:
    platform = policy.platform
    words, cited = f"{duration(platform.window)} from the person's last message", platform.window_citation
    if policy.click_to_messenger:
        words += f"; {duration(platform.click_to_messenger)} from their first after a Click-to-Messenger advertisement"
        cited += f"; {platform.click_to_messenger_citation}"
    grounds = [
        ("standard_window", words, cited),
        ("utility_template", "an approved utility template, at any time", platform.utility_citation),
        ("marketing_token", "a marketing token that rested", platform.marketing.citation),
        ("recurring", "a recurring token that rested", platform.recurring.citation),
        ("one_time_token", "an unused one-time token", platform.one_time.citation),
    ]
    for name, said, citation in grounds:
        yield _clause(f"platform.{name}", "messaging_window", said, citation=citation, basis="platform")


def _house(policy: Policy) -> Iterator[Clause]:
    yield from (_entry("quiet_hours", "permitted_hours", hours) for hours in policy.hours)
    yield from (_entry("frequency_cap", "frequency_cap", cap) for cap in policy.caps)
    yield from (_entry("minimum_gap", "minimum_gap", gap) for gap in policy.gaps)


def _law(policy: Policy, code: str) -> Iterator[Clause]:
    mode = policy.jurisdictions
    yield from (_entry("quiet_hours", "permitted_hours", hours) for hours in binding_hours(code, mode))
    yield from (_entry("frequency_cap", "frequency_cap", cap) for cap in binding_caps(code, mode))
    law = binding_consent(code, mode) if policy.consent == "packs" else None
    if law is not None:
        yield _clause(
            f"{code}.consent", "consent", f"{' or '.join(law.kinds)} consent", citation=law.source.citation,
            basis=law.source.basis, jurisdiction=code,
        )  # fmt: skip


def _entry(rule: str, key: str, entry: Hours | Cap | Gap) -> Clause:
    source = None if isinstance(entry, Gap) else entry.source
    return _clause(
        clause_of(key, entry), rule, entry_words(entry) or "", citation=source.citation if source else None,
        basis=source.basis if source else "house", jurisdiction=source.jurisdiction if source else None,
    )  # fmt: skip


def _rule(name: str, words: str) -> Clause:
    return _clause(name, name, words)


def _clause(
    id_: str, rule: str, words: str, *, citation: str | None = None, basis: str | None = None,
    jurisdiction: str | None = None,
) -> Clause:  # fmt: skip
    return Clause(id=id_, rule=rule, words=words, citation=citation, basis=basis, jurisdiction=jurisdiction)
