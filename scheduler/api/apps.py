"""The platform apps over REST: their secrets, two of them while one takes the other's place."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from scheduler.api.auth import Actor
from scheduler.api.instants import Instant, Now
from scheduler.api.pages import Secret
from scheduler.api.sessions import Db
from scheduler.pages import app_secrets
from scheduler.pages.tables import App

router = APIRouter(prefix="/apps", tags=["apps"])

_AppInPath = Annotated[str, Path(alias="app", description="The platform's id of the app.", max_length=128)]


class NewSecret(BaseModel):
    """What the platform shows after the app's secret was reset there."""

    model_config = ConfigDict(extra="forbid", strict=True)

    secret: Secret


class AppView(BaseModel):
    """An app that signs webhooks. Its secrets are sealed and never given out."""

    external_id: str
    secrets: int = Field(description="2: webhooks signed with the secret before the newest are taken too.")
    proves_with_previous: bool = Field(
        description="Our requests are proven with the older of two secrets, until the platform refuses it."
    )
    secret_changed_at: Instant | None
    created_at: Instant


class AppList(BaseModel):
    """All apps."""

    items: list[AppView]


@router.get("")
def list_all(session: Db) -> AppList:
    """All apps, oldest first."""
    return AppList(items=[view(app) for app in app_secrets.list_apps(session)])


@router.post("/{app}/secret")
def add_secret(app: _AppInPath, new: NewSecret, session: Db, actor: Actor, now: Now) -> AppView:
    """Give the app a new secret. The one before it goes on verifying webhooks until it is retired."""
    return view(app_secrets.add_secret(session, app, new.secret, actor=actor, now=now))


@router.delete("/{app}/previous-secret")
def retire_secret(app: _AppInPath, session: Db, actor: Actor, now: Now) -> AppView:
    """Let the older secret verify nothing any more: within a second, in every process."""
    return view(app_secrets.retire_secret(session, app, actor=actor, now=now))


@router.delete("/{app}/newest-secret")
def undo_secret(app: _AppInPath, session: Db, actor: Actor, now: Now) -> AppView:
    """Take back the secret that was added last; the one before it is the app's again."""
    return view(app_secrets.undo_secret(session, app, actor=actor, now=now))


def view(app: App) -> AppView:
    """What may be shown of an app."""
    return AppView(
        external_id=app.external_id,
        secrets=1 if app.previous_secret_sealed is None else 2,
        proves_with_previous=app.proves_with_previous,
        secret_changed_at=app.secret_changed_at,
        created_at=app.created_at,
    )
