"""What goes on the wire."""

from __future__ import annotations

from scheduler.content.render import Rendered
from scheduler.outbox.by_token import SendToken
from workers.send_api.payload import build_path, build_payload


def test_text_goes_as_an_update_with_metadata() -> None:
    assert build_payload("24", Rendered(locale="en", text="Hi"), "1.2.mac") == {
        "recipient": {"id": "24"},
        "messaging_type": "UPDATE",
        "message": {"text": "Hi", "metadata": "1.2.mac"},
    }


def test_utility_content_goes_as_its_approved_template() -> None:
    content = Rendered(locale="de", utility_name="shipped", utility_parameters={"order": "A-1", "carrier": "DHL"})
    assert build_payload("24", content, "1.2.mac") == {
        "recipient": {"id": "24"},
        "messaging_type": "UTILITY",
        "message": {
            "template": {
                "name": "shipped",
                "language": {"code": "de"},
                "components": [
                    {
                        "type": "body",
                        "parameters": [
                            {"type": "text", "parameter_name": "order", "text": "A-1"},
                            {"type": "text", "parameter_name": "carrier", "text": "DHL"},
                        ],
                    }
                ],
            },
            "metadata": "1.2.mac",
        },
    }


def test_a_template_without_parameters_has_no_components() -> None:
    content = Rendered(locale="en", utility_name="thanks")
    assert build_payload("24", content, "m")["message"]["template"] == {"name": "thanks", "language": {"code": "en"}}


def test_nothing_is_ever_tagged() -> None:
    for content in (Rendered(locale="en", text="x"), Rendered(locale="en", utility_name="x")):
        payload = build_payload("24", content, "m")
        assert "tag" not in payload
        assert payload["messaging_type"] in ("UPDATE", "UTILITY")


HI = Rendered(locale="en", text="Hi")


def test_on_a_token_the_recipient_is_the_token() -> None:
    for kind, name in (("recurring", "notification_messages_token"), ("one_time", "one_time_notif_token")):
        token = SendToken(id=1, kind=kind, text="tok")  # type: ignore[arg-type]  # both are kinds
        assert build_payload("24", HI, "1.2.mac", token) == {
            "recipient": {name: "tok"},
            "message": {"text": "Hi", "metadata": "1.2.mac"},
        }
        assert build_path("100", token) == "100/messages"


def test_a_paid_message_goes_to_the_ad_account_under_its_campaign() -> None:
    token = SendToken(id=1, kind="marketing", text="tok", ad_account_id="42", message_campaign_id="43")
    assert build_payload("24", HI, "1.2.mac", token) == {
        "message_id": "43",
        "messenger_delivery_data": {"subscription_token": "tok"},
        "message": {"text": "Hi", "metadata": "1.2.mac"},
    }
    assert build_path("100", token) == "act_42/messages"
    assert build_path("100") == "100/messages"
