"""The platform's refusals, by code and subcode. Sources: its "Error codes" page (2026-06-25), "Send messages" and
"Rate limiting" guides. Messages are localised in life: nobody should read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphError:
    """One refusal."""

    code: int
    subcode: int | None = None
    message: str
    status: int = 400
    transient: bool = False
    type: str = "OAuthException"

    def body(self, trace: str) -> dict[str, Any]:
        """The JSON that is answered; ``trace`` is its ``fbtrace_id``."""
        error: dict[str, Any] = {"message": self.message, "type": self.type, "code": self.code}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.transient:
            error["is_transient"] = True
        return {"error": {**error, "fbtrace_id": trace}}


BAD_TOKEN = GraphError(
    code=190, message="Error validating access token: The session is invalid or has expired.", status=401
)
NO_TOKEN = GraphError(code=2500, message="An active access token must be used to query information.", status=400)
BAD_PROOF = GraphError(
    code=100, message="Invalid appsecret_proof provided in the API argument", type="GraphMethodException"
)
OTHER_PAGE = GraphError(
    code=200, subcode=2018028, message="(#200) Requires pages_messaging permission for this page", status=403
)
CLOSED_WINDOW = GraphError(
    code=10, subcode=2018278, message="(#10) This message is sent outside of allowed window.", status=403
)
NO_SUCH_PERSON = GraphError(code=100, subcode=2018001, message="(#100) No matching user found")
BLOCKED = GraphError(code=551, subcode=1545041, message="(#551) This person isn't available right now.")
NO_PROFILE = GraphError(code=100, subcode=2018218, message="(#100) No profile available for this user")
THROTTLED = GraphError(code=613, message="(#613) Calls to this api have exceeded the rate limit.", transient=True)
THROTTLED_HARD = GraphError(
    code=80006,
    message="(#80006) There have been too many calls to this messenger account. Wait a bit and try again.",
    transient=True,
)
STOPPED_UPDATES = GraphError(code=10, subcode=1893015, message="(#10) The user has stopped receiving these messages.")
TOO_SOON = GraphError(code=4, subcode=2018354, message="(#4) The user already got a message in this period.")
BAD_SUBSCRIPTION = GraphError(code=2300004, message="(#2300004) The subscription token could not be loaded.")
OTHER_SUBSCRIPTION = GraphError(code=2300005, message="(#2300005) The page id does not match the subscription token.")
NO_CAMPAIGN = GraphError(code=2300001, message="(#2300001) The message ID you supplied is invalid.")
FAILED_AFTER_ACCEPTING = GraphError(code=2, message="(#2) Service temporarily unavailable", status=500, transient=True)


def bad_parameter(words: str) -> GraphError:
    """Code 100: ``words`` name the parameter."""
    return GraphError(code=100, message=f"(#100) {words}")


def unknown_object(name: str) -> GraphError:
    """Nothing of that id is visible to this token."""
    return GraphError(
        code=100,
        subcode=33,
        message=f"Unsupported request. Object with ID '{name}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation.",
        type="GraphMethodException",
    )


def unknown_path(path: str) -> GraphError:
    """No such edge, or no such version."""
    return GraphError(code=2500, message=f"Unknown path components: /{path}")
