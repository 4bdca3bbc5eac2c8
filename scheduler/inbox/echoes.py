"""Who wrote an echo of no app of ours: a person of the team, another app, or the platform itself."""

from __future__ import annotations

from typing import Any

from scheduler.inbox.lenient import identifier

#: The app of the page's inbox, where people of the team write: sources spell it in these two ways.
_PAGE_INBOX = frozenset({"26390203743090", "263902037430900"})

#: Nobody sends these by hand: the platform puts a post into the thread when somebody taps "Send message" under it, and
#: the inbox's automatic answers are templates (https://github.com/ker0x/messenger/issues/69).
_AUTOMATIC = frozenset({"template", "post"})
#: A link: typed by hand it stands in the text too. The platform adds one to private replies by itself
#: (developers.facebook.com/documentation/business-messaging/messenger-platform/discovery/private-replies).
_LINK = "fallback"


def by_a_person(said: dict[str, Any]) -> bool:
    """Whether somebody of the team wrote the echo, on the page itself or in its inbox."""
    return _by_hand_or_platform(said) and not of_the_platform(said)


def of_the_platform(said: dict[str, Any]) -> bool:
    """Whether nobody wrote the echo: the platform or the inbox sent it of themselves."""
    if not _by_hand_or_platform(said):
        return False
    attachments = said.get("attachments")
    attached = [each for each in attachments if isinstance(each, dict)] if isinstance(attachments, list) else []
    kinds = {each.get("type") for each in attached}
    if not kinds.isdisjoint(_AUTOMATIC):
        return True
    text = said.get("text")
    typed_a_link = isinstance(text, str) and any(part in text.casefold() for part in ("://", "www.", ".com", ".me/"))
    return _LINK in kinds and not typed_a_link


def _by_hand_or_platform(said: dict[str, Any]) -> bool:
    app_id = identifier(said.get("app_id"))
    if app_id is not None:
        return app_id in _PAGE_INBOX
    # Whatever an app sends names the app; and only an app gives a message metadata.
    return not said.get("metadata")
