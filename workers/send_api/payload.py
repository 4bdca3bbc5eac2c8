"""The body of a Send API request, and where it goes.

Inside the window content goes as ``messaging_type: UPDATE``; content that belongs to an approved utility template goes
as that template, ``messaging_type: UTILITY``, whatever its ground. Never a message tag.
On a token the recipient is the token itself, and no ``messaging_type`` is given, as in the platform's samples; a paid
marketing message goes to the ad account, on the token of the subscription, under a message campaign.
Source: the platform's "Send API reference" and "Utility messages" pages (2026-09), "Send messages" of the Marketing
Message API for Messenger (2026-06-30). Not documented: whether that one takes ``metadata`` (?), and whether a page's
token is enough for it (?).
"""

from __future__ import annotations

from typing import Any

from scheduler.content.render import Rendered
from scheduler.outbox.by_token import SendToken

#: What the recipient's token is called, by its kind.
_RECIPIENTS = {"recurring": "notification_messages_token", "one_time": "one_time_notif_token"}


def build_path(page: str, token: SendToken | None = None) -> str:
    """What a message is posted to: ``page``'s own edge, or the ad account's where it is a paid one."""
    if token is not None and token.kind == "marketing":
        return f"act_{token.ad_account_id}/messages"
    return f"{page}/messages"


def build_payload(psid: str, content: Rendered, metadata: str, token: SendToken | None = None) -> dict[str, Any]:
    """The JSON body that sends ``content`` to the person ``psid``, or on ``token``. The echo brings ``metadata``."""
    if token is not None:
        message = {"text": content.text, "metadata": metadata}
        if token.kind == "marketing":
            return {
                "message_id": token.message_campaign_id,
                "messenger_delivery_data": {"subscription_token": token.text},
                "message": message,
            }
        return {"recipient": {_RECIPIENTS[token.kind]: token.text}, "message": message}
    if content.utility_name is not None:
        return {
            "recipient": {"id": psid},
            "messaging_type": "UTILITY",
            "message": {"template": _template(content.utility_name, content), "metadata": metadata},
        }
    return {
        "recipient": {"id": psid},
        "messaging_type": "UPDATE",
        "message": {"text": content.text, "metadata": metadata},
    }


def _template(name: str, content: Rendered) -> dict[str, Any]:
    template: dict[str, Any] = {"name": name, "language": {"code": content.locale}}
    if content.utility_parameters:
        template["components"] = [
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "parameter_name": parameter, "text": value}
                    for parameter, value in content.utility_parameters.items()
                ],
            }
        ]
    return template
