"""Reason codes and what ends a wait, in words. What is said fits the verdict: a denial does not speak of later."""

from __future__ import annotations

from scheduler.api.instants import format_instant

#: What stands in the way, as it is now.
_WORDS = {
    "opted_out": "the person asked for no messages",
    "blocked": "the person blocked the page",
    "unreachable": "the platform says that the person cannot be reached",
    "erased": "the person's data was erased",
    "test_mode": "the page is in mode test and the person is not on its allow-list",
    "no_consent": "the person has not given the consent that it needs",
    "consent_expired": "the consent that it needs has ended",
    "kill_switch": "a kill switch is engaged",
    "page_stopped": "its page is stopped",
    "campaign_paused": "its campaign is paused",
    "contact_held": "the person is held until somebody has looked at what came from them",
    "window_closed": "the messaging window is closed",
    "window_closes_in_quiet_hours": "the messaging window closes before the quiet hours end",
    "window_closes_before_cap": "the messaging window closes before another message is allowed",
    "not_before": "its time has not come",
    "expired": "its time has run out",
    "handover": "a person of the team has the conversation",
    "minimum_gap": "the person has had a message a short while ago",
    "frequency_cap": "the person has had enough messages for now",
    "quiet_hours": "it is night, or a quiet time, where the person is",
    "closed_day": "no message may go on this day where the person is",
    "unknown_zone": "the person's time zone is not known well enough",
    "rule_error": "a rule failed, and then nothing is sent",
    "cancelled": "its campaign was cancelled",
    # What ends a wait that has no instant.
    "inbound": "the person to write",
    "handback": "the person of the team to hand the conversation back",
    "zone_evidence": "better evidence of the person's time zone",
    "resume": "somebody to let it go on",
    "page_restored": "its page to be restored",
    "woken": "something happened that may permit more",
    "gives_way": "something more urgent was planned for the same person",
}

#: Of a denial, where the words above would promise that it passes: it does, but too late for this message.
_DENIED = {
    "consent_expired": "the consent that it needs has ended, or ends before it could go",
    "window_closed": "the messaging window is closed, or closes before it could go",
    "not_before": "when its time comes it can no longer go",
    "expired": "its time runs out before it could go",
    "minimum_gap": "the pause after the person's last message outlasts its time",
    "frequency_cap": "the person has had so many messages that its time is over before another is allowed",
    "quiet_hours": "the quiet hours where the person is outlast its time",
    "closed_day": "the days on which no message may go where the person is outlast its time",
    "unknown_zone": "no instant suits every time zone that the person may be in",
}


def words(code: str, verdict: str | None = None) -> str:
    """A code in words; of a ``deny``, why time does not lift it."""
    denied = _DENIED.get(code) if verdict == "deny" else None
    return denied or _WORDS.get(code, code.replace("_", " "))


def wait_in_words(wakes_on: str | None, until: int | None, *, of: str = "it waits") -> str:
    """What a message without an instant waits for, and until when at most (epoch seconds; None: nothing says).

    ``of`` is the clause's subject and verb, such as "5 wait".
    """
    end = f", at the latest until {format_instant(until)}" if until is not None else ""
    return f"{of} for {words(wakes_on) if wakes_on else 'somebody'}{end}"
