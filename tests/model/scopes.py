"""What the model is searched for: scopes, and the mutants that each of them has to catch."""

from __future__ import annotations

from tests.model.world import Scope

SCOPES = (
    Scope(name="two workers, a crash, the sweep, a cancellation", workers=2, crashes=1, noes=1, cancels=1),
    Scope(name="an opt-out against two workers", workers=2, crashes=1, opt_out=True),
    Scope(name="evidence in any order", crashes=1, noes=1, deliveries=True),
    Scope(name="sent again by a person", crashes=1, resends=1),
    Scope(name="hung workers and three crashes", noes=2, resends=1),
    Scope(name="a window that the platform holds shut", noes=1, window=True, time=True),
    Scope(name="a token for one message", workers=2, crashes=1, noes=2, resends=2, token=True),
    Scope(name="a platform that errs", noes=1, errs=True, opt_out=True, time=True, cancels=1),
    Scope(name="all of it: two workers, a crash, the sweep, webhooks, an opt-out", workers=2, crashes=1, noes=1,
          opt_out=True, cancels=1),
)  # fmt: skip

_RACE, _STOP, _ORDER, _AGAIN, _HUNG, _WINDOW, _TOKEN = (scope.name for scope in SCOPES[:7])

#: What is broken → the scope that catches it, and what the first broken world says.
MUTANTS = {
    "no compare-and-set into sending": (_STOP, "accepted twice"),
    "no lock on the contact": (_STOP, "a decision after an acknowledged opt-out sends"),
    "decided before the lock": (_STOP, "a decision after an acknowledged opt-out sends"),
    "acknowledged before the commit": (_STOP, "a decision after an acknowledged opt-out sends"),
    "posted before the commit": (_RACE, "it is due and has arrived"),
    "what a dead worker left is sent again": (_RACE, "an attempt is not_sent that the platform has"),
    "what is in doubt is sent again": (_RACE, "an attempt is not_sent that the platform has"),
    "a timeout counts as not sent": (_RACE, "an attempt is not_sent that the platform has"),
    "late evidence is ignored": (_RACE, "it is known to have arrived and is unconfirmed"),
    "a late answer overrules the evidence": (_RACE, "what the platform had is in_doubt again"),
    "the sweep writes what it saw before": (_RACE, "what the platform had is in_doubt again"),
    "metadata without its MAC": (_RACE, "an attempt is sent that the platform never had"),
    "cancelled whatever its state": (_RACE, "it is cancelled and has arrived"),
    "the row in a transaction of its own": (_RACE, "a move without its row"),
    "nobody sweeps": (_RACE, "it is lost: nothing that is bound to come ends it"),
    "doubt has no end": (_RACE, "it is lost: nothing that is bound to come ends it"),
    "early evidence is dropped": (_ORDER, "it is sent, and more than that was told"),
    "a delivery after the read counts": (_ORDER, "what the platform had is delivered again"),
    "sent again while in doubt": (_AGAIN, "accepted twice, and nobody was told that it may be"),
    "a re-send goes on when the first had arrived": (
        _HUNG, "it is sent again, and the first is known to have arrived",
    ),
    "a token counts once it is known": (_TOKEN, "the token went twice"),
    "doubt gives the token back": (_TOKEN, "the token went twice"),
    "a refusal keeps the token": (_TOKEN, "the token is used up, and nothing went on it"),
    "what is parked has no end": (_WINDOW, "it is lost: nothing that is bound to come ends it"),
}  # fmt: skip
