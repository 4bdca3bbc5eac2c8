"""What is wrong with webhooks and with whoever takes them, in the words of ``duly ops status``."""

from __future__ import annotations

from pydantic import BaseModel, Field

from scheduler.api.instants import Instant
from scheduler.inbox.troubles import Trouble
from scheduler.inbox.web_processes import SilentWeb

#: Reason → what was wrong with so many webhooks, and what to do.
WORDS = {
    "unsigned": "came without a usable signature, and no STOP in them was heard: does something in between drop "
    "or change the header X-Hub-Signature-256?",
    "bad_signature": "were not signed with its app's secret, and no STOP in them was heard: compare the secret with "
    "the platform's (`duly app list`, `duly app add-secret`)",
    "secret_unreadable": "may be signed with a secret that cannot be unsealed here: add its key to DULY_ENCRYPTION_KEY",
    "too_large": "were over DULY_WEBHOOK_MAX_BYTES, and no STOP in them was heard: raise it",
    "unreadable": "could not be read: look at `GET /api/v1/failed-events`",
    "unknown_object": "are about no page: subscribe this address to pages alone",
    "unknown_event": "are of a kind that is not known; they are kept, and nothing follows from them",
    "unknown_field": "are changes of a field that is not known; they are kept, and nothing follows from them",
    "unknown_page": "are of a page that is not registered with the app that signed them: `duly page list`",
    "not_applied": "could not be applied, and their people are held: look at `GET /api/v1/failed-events`",
}


class TroubleView(BaseModel):
    """Webhooks of a page that were refused, or events in them from which nothing followed, for one reason."""

    page: str | None = Field(description="null: of no page that is registered here, as far as they tell.")
    reason: str = Field(description=", ".join(f"`{reason}`" for reason in WORDS))
    recent: int = Field(description="In the last five real minutes. Three of a page make an alert.")
    total: int = Field(description="Ever, over all web processes.")
    last_at: Instant


def trouble_view(trouble: Trouble) -> TroubleView:
    """It, for whoever asks."""
    return TroubleView(
        page=trouble.page, reason=trouble.reason, recent=trouble.recent, total=trouble.total, last_at=trouble.last_at
    )


def trouble_words(trouble: Trouble) -> str:
    """An alert of it."""
    what = "webhooks" if trouble.reason in ("unsigned", "bad_signature", "secret_unreadable", "too_large") else "events"
    return f"{trouble.recent} {what} in five minutes {WORDS[trouble.reason]}"


def silent_words(silent: SilentWeb) -> str:
    """An alert of a web process that does not go on."""
    return f"the web process {silent.name} last did something {silent.silent_for:.0f} s ago: no STOP is heard there"
