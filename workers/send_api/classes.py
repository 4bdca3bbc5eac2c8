"""The classifier: what each of the platform's errors means. One table, read from the top; the first row that fits wins.

Sources: [E] the platform's "Error codes" page (2026-06-25), [S] its "Send messages" guide, [R] its "Rate limiting" page
(2026-03-23), [G] "Handling errors" of the Graph API, [M] "API References" of the Marketing Message API for Messenger
(2026-04-24), [F] seen in the field. Whatever is in no row is in doubt: an
error does not prove that nothing was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Result = Literal["sent", "refused", "not_sent", "in_doubt"]
Kind = Literal[
    "sent",
    "not_sent",
    "refused",
    "contact_unreachable",
    "window_closed",
    "page_stopped",
    "throttled",
    "other_app_has_thread",
    "in_doubt",
]
#: What an answer says beyond its message: about the contact (``blocked``, ``unreachable``, ``window_closed``,
#: ``handover``) or about the page (``stop_page``, ``throttle``).
#: ``notifications_stopped`` is about the token that the message went on.
Effect = Literal[
    "blocked", "unreachable", "window_closed", "handover", "notifications_stopped", "stop_page", "throttle"
]

#: What becomes of the attempt. The message was not accepted where it says ``refused`` or ``not_sent``; the first is for
#: good, after the second it is decided anew when what stood in the way is gone.
RESULTS: dict[Kind, Result] = {
    "sent": "sent",
    "not_sent": "not_sent",
    "refused": "refused",
    "contact_unreachable": "refused",
    "window_closed": "not_sent",
    "page_stopped": "not_sent",
    "throttled": "not_sent",
    "other_app_has_thread": "not_sent",
    "in_doubt": "in_doubt",
}

ANY = "any"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. A code or subcode of ``ANY`` fits all and none; a subcode of None is an answer without one."""

    code: int | str | None
    subcode: int | str | None
    #: ``ANY``, a status, or ``5xx``.
    http: int | str
    kind: Kind
    effect: Effect | None
    reason: str
    source: str
    #: The error's ``type`` where that tells two apart; never its words, which are localised.
    type: str | None = None

    def fits(self, status: int, code: int | None, subcode: int | None, type_: str | None) -> bool:
        """Whether an error with these is of this row."""
        return (
            self.http in (ANY, status, f"{status // 100}xx")
            and self.code in (ANY, code)
            and self.subcode in (ANY, subcode)
            and self.type in (None, type_)
        )


CLASSES: tuple[Row, ...] = (
    # It failed while it worked on the request: its words about it prove nothing [E, "5xx"][F].
    Row(ANY, ANY, "5xx", "in_doubt", None, "platform_error", "[E] HTTP 5xx"),
    Row(ANY, ANY, 429, "throttled", "throttle", "throttled", "[R] HTTP 429"),
    # "This message is sent outside of allowed window."; the older and Instagram's subcode of the same.
    Row(10, 2018278, ANY, "window_closed", "window_closed", "window_closed", "[E] outside of allowed window"),
    Row(10, 2018065, ANY, "window_closed", "window_closed", "window_closed", "[E] outside of allowed window (older)"),
    Row(10, 2534022, ANY, "window_closed", "window_closed", "window_closed", "[E] the same on Instagram"),
    # "This person isn't receiving messages from you right now": blocked, deactivated or else unreachable.
    Row(551, None, ANY, "contact_unreachable", "blocked", "blocked", "[E] person isn't available"),
    Row(551, 1545041, ANY, "contact_unreachable", "blocked", "blocked", "[S] person isn't available"),
    Row(200, 1545041, ANY, "contact_unreachable", "blocked", "blocked", "[E][F] person isn't available"),
    Row(10, 2018108, ANY, "contact_unreachable", "blocked", "blocked", "[E] person isn't receiving messages"),
    # The id is another page's, or the person is gone.
    Row(100, 2018001, ANY, "contact_unreachable", "unreachable", "unreachable", "[E] no matching user found"),
    Row(100, 2534014, ANY, "contact_unreachable", "unreachable", "unreachable", "[E] no matching user found"),
    # The token is expired or revoked, or its owner lost the role: 458, 460, 463, 490, 2069032, ….
    Row(190, ANY, ANY, "page_stopped", "stop_page", "bad_token", "[E] access token"),
    # The app may not send for this page. Every other message would fail alike, so the page stops and they wait.
    Row(1, 99, ANY, "page_stopped", "stop_page", "no_permission", "[E] missing permission"),
    Row(10, None, ANY, "page_stopped", "stop_page", "no_permission", "[E] missing permission"),
    Row(200, None, ANY, "page_stopped", "stop_page", "no_permission", "[E] missing permission"),
    Row(200, 2018028, ANY, "page_stopped", "stop_page", "no_permission", "[E] not permitted for this page"),
    Row(230, ANY, ANY, "page_stopped", "stop_page", "no_permission", "[E] needs pages_messaging"),
    Row(100, 33, ANY, "page_stopped", "stop_page", "no_permission", "[G] the page cannot be seen with this token"),
    # "Invalid appsecret_proof": as wrong for every other message of the page. Its type tells it from a bad parameter.
    Row(100, None, ANY, "page_stopped", "stop_page", "bad_proof", "[G] appsecret_proof", "GraphMethodException"),
    # Restricted for a while or for good.
    Row(10, 1893063, ANY, "page_stopped", "stop_page", "page_restricted", "[E] since 2026-06-25: page restricted"),
    Row(10, 1404170, ANY, "page_stopped", "stop_page", "page_restricted", "[E] page restricted"),
    Row(100, 2534029, ANY, "page_stopped", "stop_page", "page_restricted", "[E] page restricted"),
    Row(368, ANY, ANY, "page_stopped", "stop_page", "page_restricted", "[E] policy block"),
    Row(2022, ANY, ANY, "page_stopped", "stop_page", "page_restricted", "[E] policy block"),
    # Limits of marketing messages and of requests to opt in; the pairs come before their codes.
    Row(4, 2018354, ANY, "refused", None, "too_often", "[E] marketing messages: frequency"),
    Row(9, 2018352, ANY, "refused", None, "too_often", "[E] marketing messages: frequency"),
    Row(613, 1893016, ANY, "refused", None, "too_often", "[E] requests to opt in"),
    # "Bothersome or abusive": this person has had enough of the page.
    Row(613, 2018338, ANY, "refused", None, "too_many_to_person", "[E] fewer messages to this person"),
    # Limits of calls: of the app, the user, the page, a custom one, business use cases, Messenger's own.
    Row(4, ANY, ANY, "throttled", "throttle", "throttled", "[E][R] app"),
    Row(17, ANY, ANY, "throttled", "throttle", "throttled", "[E][R] user"),
    Row(32, ANY, ANY, "throttled", "throttle", "throttled", "[E][R] page"),
    Row(341, ANY, ANY, "throttled", "throttle", "throttled", "[E] application limit"),
    Row(613, None, ANY, "throttled", "throttle", "throttled", "[E][R] custom limit"),
    Row(613, 2534040, ANY, "throttled", "throttle", "throttled", "[E] too many at once"),
    Row(80001, ANY, ANY, "throttled", "throttle", "throttled", "[R] business use case: pages"),
    Row(80006, ANY, ANY, "throttled", "throttle", "throttled", "[R] business use case: messenger"),
    # Another app, or the platform's own question flow, has the thread: what is left of the window can be used when it
    # comes back.
    Row(10, 2018300, ANY, "other_app_has_thread", "handover", "thread_taken", "[E][F] thread owned by another app"),
    Row(10, 2018321, ANY, "other_app_has_thread", "handover", "thread_taken", "[E] thread owned by another app"),
    Row(2018300, ANY, ANY, "other_app_has_thread", "handover", "thread_taken", "[E] the same as a code"),
    Row(2018321, ANY, ANY, "other_app_has_thread", "handover", "thread_taken", "[E] the same as a code"),
    Row(100, 2534037, ANY, "other_app_has_thread", "handover", "thread_taken", "[E] thread owned by another app"),
    Row(10, 1893015, ANY, "refused", "notifications_stopped", "notifications_stopped", "[E] the person stopped them"),
    # The subscription token of a paid message is none, or another page's: no more on that one [M].
    Row(2300004, ANY, ANY, "refused", "notifications_stopped", "invalid_token", "[M] subscription token"),
    Row(2300005, ANY, ANY, "refused", "notifications_stopped", "invalid_token", "[M] another page's token"),
    # The message campaign or its message is not active, or nowhere to be found.
    Row(2300000, ANY, ANY, "refused", None, "invalid_request", "[M] inactive campaign"),
    Row(2300001, ANY, ANY, "refused", None, "invalid_request", "[M] no such message campaign"),
    Row(2300002, ANY, ANY, "refused", None, "invalid_request", "[M] inactive message set"),
    Row(2300003, ANY, ANY, "refused", None, "invalid_request", "[M] inactive message"),
    # A wrong parameter; also what the retired message tags get since 2026-04-27.
    Row(100, None, ANY, "refused", None, "invalid_request", "[E] bad parameter"),
    # Media that cannot be had, are too big or of the wrong kind.
    Row(100, 2018047, ANY, "refused", None, "invalid_request", "[E] upload of the attachment failed"),
    Row(100, 2018109, ANY, "refused", None, "invalid_request", "[E] attachment too big"),
    Row(100, 2018014, ANY, "refused", None, "invalid_request", "[E] attachment"),
    Row(100, 2018008, ANY, "refused", None, "invalid_request", "[E] attachment could not be fetched"),
    Row(100, 2018294, ANY, "refused", None, "invalid_request", "[E] attachment could not be fetched"),
    Row(100, 2018074, ANY, "refused", None, "invalid_request", "[E] attachment id expired"),
    Row(36000, ANY, ANY, "refused", None, "invalid_request", "[E] message and state do not fit"),
    # Phone matching and account linking, which Duly uses neither of.
    Row(200, 2018021, ANY, "refused", None, "invalid_request", "[E] phone matching"),
    Row(200, 2018027, ANY, "refused", None, "invalid_request", "[E] phone matching"),
    Row(10303, ANY, ANY, "refused", None, "invalid_request", "[E] account linking"),
    # "The messages are all sent successfully, but the endpoint returns an error" (1/1357046); 2 "might also" mean a
    # block; 1200 is "temporary send message failure".
    Row(1, ANY, ANY, "in_doubt", None, "platform_error", "[E] unknown error; 1357046: all were sent"),
    Row(2, ANY, ANY, "in_doubt", None, "platform_error", "[E] try later; may also be a block"),
    Row(1200, ANY, ANY, "in_doubt", None, "platform_error", "[F] temporary send message failure"),
    # An error without a code that can be read, then all the rest.
    Row(None, ANY, ANY, "in_doubt", None, "platform_error", "no code"),
    Row(ANY, ANY, ANY, "in_doubt", None, "unknown_error", "unlisted"),
)


def classify(status: int, code: int | None, subcode: int | None, type_: str | None = None) -> Row:
    """The row of an error. Total: the last row fits everything."""
    return next(row for row in CLASSES if row.fits(status, code, subcode, type_))
