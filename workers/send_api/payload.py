"""The body of a Send API request.

Inside the window content goes as ``messaging_type: UPDATE``; content that belongs to an approved utility template goes
as that template, ``messaging_type: UTILITY``, whatever its ground. Never a message tag.
Source: the platform's "Send API reference" and "Utility messages" pages (2026-09).
"""

from __future__ import annotations

from typing import Any

from scheduler.content.render import Rendered


def build_payload(psid: str, content: Rendered, metadata: str) -> dict[str, Any]:
    """The JSON body that sends ``content`` to the person ``psid``; ``metadata`` comes back in the echo."""
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
