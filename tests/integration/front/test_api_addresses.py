from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_a_query_parameter_that_an_address_does_not_have_is_refused_by_name(api: Callable[..., Any]) -> None:
    answer = api("GET", "/messages", params={"sate": "sent"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] == [
        {
            "field": "sate",
            "message": "`sate` is not a query parameter of this address",
            "way_out": "did you mean state?",
        }
    ]
    # The summary is an address of its own beside /messages/{id}: its own filters are known, those of the list are not.
    assert api("GET", "/messages/summary", params={"campaign": "1"}).status_code == 200
    assert api("GET", "/messages/summary", params={"limit": "1"}).status_code == 422
    assert api("GET", "/pages", params={"x": "1"}).json()["way_out"] == "it has none"


def test_a_wrong_method_names_all_that_the_address_takes(api: Callable[..., Any]) -> None:
    answer = api("PUT", "/pages")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert answer.json()["way_out"] == "use GET, POST"


def test_an_instant_that_is_a_number_and_a_wrong_audience_are_refused_by_field(api: Callable[..., Any]) -> None:
    asked = {"name": "Spring", "template": "t", "audience": [12], "not_before": 1_773_015_900}
    answer = api("POST", "/pages/1/campaigns", asked)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["audience", "audience.0", "not_before"]
