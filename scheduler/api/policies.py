"""Policies over REST: which one decides for a page, since when and why; and how it meets one person."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from policies.effective import effective
from policies.policy import Policy
from scheduler.api.apart import TheApart
from scheduler.api.auth import Actor
from scheduler.api.contacts import PsidInPath
from scheduler.api.instants import GivenInstant, Instant, Now
from scheduler.api.pages import PageInPath
from scheduler.api.policy_views import EffectiveView, effective_view
from scheduler.api.refusals import Body
from scheduler.api.sessions import Db
from scheduler.contacts.registry import get_contact
from scheduler.doorbell import ring
from scheduler.errors import Invalid, NotFound
from scheduler.facts.decisions import contact_facts
from scheduler.governance import history as stored
from scheduler.governance.active import active_policies, policies_by_version
from scheduler.governance.clause_changes import ClauseChange, Searched
from scheduler.governance.documents import LONGEST, built_in_policy, read_canonical, refuse_length, whole_document
from scheduler.governance.policies import LONGEST_WHY, activate_policy
from scheduler.governance.prospect import activation_changes, prospect
from scheduler.pages.registry import get_page
from scheduler.settings import get_settings

router = APIRouter(tags=["policies"])

_Limit = Annotated[int, Query(ge=1, le=200)]


class NewActivation(Body):
    """Which policy is to decide, and why."""

    document: str | None = Field(
        None, max_length=LONGEST, description="A policy document (TOML); it may extend a built-in policy."
    )
    builtin: str | None = Field(None, description="Instead of a document: default or platform-only.")
    why: str = Field(min_length=1, max_length=LONGEST_WHY, pattern=r"^[^\x00]*\S[^\x00]*$")
    expected_version: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{8,64}$",
        description="The version that is in force, or its first digits: 409 when it is another by now.",
    )
    dry_run: bool = Field(False, description="Say what would change, and change nothing.")


class ChangeView(BaseModel):
    """A clause that differs."""

    clause: str
    kind: str = Field(description="added, removed or changed.")
    before: str | None
    after: str | None


class EffectView(ChangeView):
    """A clause that differs, and what that does to what may be sent."""

    effect: str | None = Field(
        description="What a search found: stricter, looser, both, other reason, none found. null: nothing is known."
    )
    search: str = Field(
        description="complete; cut_short: time ran out, there may be more than was found; not_searched (a name, "
        "which decides nothing, or see search_note)."
    )


class ActivationResult(BaseModel):
    """What an activation changed, or (dry_run) would."""

    activated: bool
    page: str
    name: str
    version: str
    previous: str | None = Field(description="The version before.")
    previous_name: str | None
    changes: list[EffectView] | None = Field(description="null: there was no policy before, or it cannot be read.")
    effect: str | None = Field(description="Of all changes together, as found; null: nothing is known.")
    search: str = Field(description="complete, cut_short or not_searched.")
    search_note: str | None = Field(description="Why the search is not complete; null: it is.")
    waiting: int = Field(description="Messages that wait or are due, and are decided under the new policy.")


class PagePolicy(BaseModel):
    """The policy that decides for a page."""

    page: str
    name: str
    version: str
    activated_by: str
    why: str
    activated_at: Instant
    document: str = Field(description="Its canonical form: what it extends is written out.")


class ActivationView(BaseModel):
    """Somebody let a policy decide for a page."""

    id: int
    name: str
    version: str
    activated_by: str
    why: str
    activated_at: Instant
    previous: str | None
    changes: list[ChangeView] | None = Field(description="null: it was the first, or one of the two cannot be read.")


class ActivationList(BaseModel):
    """A page's activations, newest first."""

    items: list[ActivationView]
    next_cursor: str | None


class VersionItem(BaseModel):
    """A policy that decided once."""

    version: str
    name: str
    created_at: Instant
    pages: list[str] = Field(description="The pages that it decides for now.")


class VersionView(VersionItem):
    """A policy that decided once, word for word."""

    document: str


class VersionList(BaseModel):
    """Policies, newest first."""

    items: list[VersionItem]
    next_cursor: str | None


@router.get("/pages/{page}/policy")
def read_active(page: PageInPath, session: Db) -> PagePolicy:
    """The policy that decides for a page, who activated it and why."""
    found = stored.activation_in_force(session, _page_id(session, page))
    if found is None:
        raise _none(page)
    return PagePolicy(
        page=page,
        name=found.name,
        version=found.version,
        activated_by=found.actor,
        why=found.why,
        activated_at=found.activated_at,
        document=stored.read_version(session, found.version).document or "",
    )


def _policy(wanted: NewActivation, apart: TheApart) -> Policy:
    """The policy that is to decide, its document read in the process apart, before the transaction."""
    wanted.check()
    if (wanted.document is None) == (wanted.builtin is None):
        raise Invalid("one of document and builtin is needed", field="document", way_out="give one, not both")
    if wanted.document is None:
        return built_in_policy(wanted.builtin or "")
    refuse_length(wanted.document)
    # What comes back says the same in a form of our own, which is quickly read.
    return read_canonical(apart.ask("policy", field="document", document=wanted.document)["document"])


@router.post("/pages/{page}/policy", responses={201: {"description": "It decides from now on."}})
def activate(
    page: PageInPath,
    wanted: NewActivation,
    policy: Annotated[Policy, Depends(_policy)],
    apart: TheApart,
    response: Response,
    session: Db,
    actor: Actor,
    now: Now,
    after: BackgroundTasks,
) -> ActivationResult:
    """Let a policy decide for a page; its waiting messages are decided anew. `dry_run` only says what would change."""
    page_id = _page_id(session, page)

    def look(old: Policy, new: Policy, at: int, patience: float) -> Searched:
        documents = {"old": whole_document(old), "new": whole_document(new)}
        done = apart.ask("prospect", field="document", seconds=patience, now=at, patience=patience, **documents)
        return Searched(**done | {"changes": tuple(ClauseChange(**each) for each in done["changes"])})

    seen = prospect(
        session, page_id, policy, now=now, patience=get_settings().look_ahead,
        expected_version=wanted.expected_version, look=look,
    )  # fmt: skip
    if not wanted.dry_run:
        # What was shown is what is replaced: somebody else's activation in between is a conflict.
        activate_policy(
            session, page_id, policy, actor=actor, why=wanted.why, now=now, expected_version=seen.active_version
        )
        response.status_code = 201
        after.add_task(ring, "deliver")
    return ActivationResult(
        activated=not wanted.dry_run,
        page=page,
        name=policy.name,
        version=policy.version,
        previous=seen.active_version,
        previous_name=seen.active_name,
        changes=None
        if seen.changes is None
        else [EffectView(**_change(each), effect=each.effect, search=each.search) for each in seen.changes],
        effect=seen.effect,
        search=seen.search,
        search_note=seen.search_note,
        waiting=seen.waiting,
    )


@router.get("/pages/{page}/policy/history")
def read_history(
    page: PageInPath,
    session: Db,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}$")] = None,
    limit: _Limit = 50,
) -> ActivationList:
    """Which policies a page had: who activated each, when, why, and what changed; newest first."""
    before = int(cursor) if cursor else None
    found = stored.history(session, _page_id(session, page), limit=limit + 1, before=before)
    shown = found[:limit]
    known = policies_by_version(session, {version for each in shown for version in (each.version, each.previous or "")})
    return ActivationList(
        items=[_activation(each, known) for each in shown],
        next_cursor=str(shown[-1].id) if len(found) > limit else None,
    )


@router.get("/policies")
def list_all(
    session: Db,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,18}\.[0-9a-f]{64}$")] = None,
    limit: _Limit = 50,
) -> VersionList:
    """Every policy that ever decided for a page, newest first."""
    at, _, version = (cursor or "").partition(".")
    found = stored.list_versions(session, limit=limit + 1, before=(int(at), version) if cursor else None)
    last = found[limit - 1] if len(found) > limit else None
    return VersionList(
        items=[
            VersionItem(version=each.version, name=each.name, created_at=each.created_at, pages=list(each.pages))
            for each in found[:limit]
        ],
        next_cursor=f"{last.created_at}.{last.version}" if last else None,
    )


@router.get("/policies/{version}")
def read_version(
    version: Annotated[str, Path(description="The version, or its first 8 digits or more.", max_length=64)], session: Db
) -> VersionView:
    """One policy, word for word."""
    found = stored.read_version(session, version)
    return VersionView(
        version=found.version,
        name=found.name,
        created_at=found.created_at,
        pages=list(found.pages),
        document=found.document or "",
    )


@router.get("/pages/{page}/contacts/{psid}/policy")
def read_effective(
    page: PageInPath,
    psid: PsidInPath,
    session: Db,
    now: Now,
    at: Annotated[GivenInstant | None, Query(description="Default: now.")] = None,
) -> EffectiveView:
    """The page's policy as it meets one person: their zones, their laws, and each text that binds, with its source."""
    page_id = _page_id(session, page)
    contact_id = get_contact(session, page_id, psid).id
    assert contact_id is not None  # a stored contact has its id
    policy = active_policies(session, [page_id]).of(page_id)
    if policy is None:
        raise _none(page)
    instant = now if at is None else at
    return effective_view(effective(policy, contact_facts(session, [contact_id], instant)[contact_id], instant))


def _activation(found: stored.Activation, known: dict[str, Policy]) -> ActivationView:
    changes = activation_changes(found, known)
    return ActivationView(
        id=found.id,
        name=found.name,
        version=found.version,
        activated_by=found.actor,
        why=found.why,
        activated_at=found.activated_at,
        previous=found.previous,
        changes=None if changes is None else [ChangeView(**_change(each)) for each in changes],
    )


def _change(change: ClauseChange) -> dict[str, Any]:
    return {"clause": change.clause, "kind": change.kind, "before": change.before, "after": change.after}


def _page_id(session: Db, external_id: str) -> int:
    page_id = get_page(session, external_id).id
    assert page_id is not None  # a stored page has its id
    return page_id


def _none(page: str) -> NotFound:
    return NotFound(
        f"page `{page[:64]}` has no policy", field="page", way_out="POST /api/v1/pages/{page}/policy activates one"
    )
