"""Every address that takes JSON, as OpenAPI lists them: what it refuses is named, quickly and in few words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from scheduler.access.keys import create_key
from scheduler.api.body_sizes import size_at
from scheduler.api.problems import MOST_ERRORS
from scheduler.clock import now
from scheduler.store import database

#: What stands in an address in the place of its parameters.
_IN_PATHS = {
    "page": "100200300400", "psid": "7", "app": "900100", "id": "1", "import_id": "1", "kind": "order.shipped",
    "number": "1", "name": "x", "version": "0123456789abcdef",
}  # fmt: skip
#: Characters of an answer, at most, whatever was sent.
_SHORT = 40_000


class Addresses:
    """The addresses with JSON bodies, and a way to send them anything."""

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self.description: dict[str, Any] = client.get("/openapi.json").json()
        with database.session() as session:
            self._key = create_key(session, "tests", now=now())

    def each(self) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
        """(method, path, body as it is described, its schema)."""
        for path, operations in self.description["paths"].items():
            for method, operation in operations.items():
                body = operation.get("requestBody")
                if path.startswith("/api/") and body and "application/json" in body["content"]:
                    yield method, path.format(**_IN_PATHS), body, self._schema(body)

    def _schema(self, body: dict[str, Any]) -> dict[str, Any]:
        schema = body["content"]["application/json"]["schema"]
        reference = next(each["$ref"] for each in [schema, *schema.get("anyOf", ())] if "$ref" in each)
        found: dict[str, Any] = self.description["components"]["schemas"][reference.rsplit("/", 1)[1]]
        return found

    def send(self, method: str, path: str, body: Any) -> Any:
        """Send raw bytes, in one piece or in several, or anything as JSON."""
        raw = body if isinstance(body, bytes) or hasattr(body, "__next__") else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        answer = self._client.request(method, path, content=raw, headers=headers)
        assert len(answer.content) < _SHORT, (method, path)
        return answer


@pytest.fixture
def addresses(client: TestClient, page: Any) -> Addresses:
    """All of them."""
    found = Addresses(client)
    assert sum(1 for _ in found.each()) > 20
    return found


@pytest.mark.parametrize(
    ("raw", "status", "words"),
    [
        (b'{"a":' * 100_000, (400, 413), ""),
        (b"[" * 30_000, (400, 413), ""),
        (b'{"a": ' + b"9" * 100_000 + b"}", (400,), "100000 digits"),
        (b'{"a": 1e999999}', (400,), "too large"),
        (b'{"a": NaN}', (400,), "NaN"),
        (b'{"twice": 1, "twice": 2}', (400,), "`twice` twice"),
        (b'{"a": "\xff"}', (400,), "not UTF-8"),
        (b'{"a": 1,}', (400,), "not valid JSON"),
    ],
)
def test_what_is_no_json_for_anybody_is_refused_everywhere(
    addresses: Addresses, raw: bytes, status: tuple[int, ...], words: str
) -> None:
    for method, path, _, _ in addresses.each():
        answer = addresses.send(method, path, raw)
        assert answer.status_code in status, (method, path, answer.text[:300])
        problem = answer.json()
        assert answer.status_code == 413 or problem["errors"][0]["field"] == "body", (method, path)
        assert words in problem["detail"], (method, path)


def test_a_body_over_the_size_of_its_address_is_refused_announced_or_not(addresses: Addresses) -> None:
    for method, path, body, _ in addresses.each():
        most = size_at(path).bytes
        assert f"At most {most // 1024} KiB" in body["description"]
        if most > 4 * 1024 * 1024:
            continue  # tried by one test of its own
        for sent in (b" " * (most + 1), (b" " * 65_536 for _ in range(most // 65_536 + 1))):
            answer = addresses.send(method, path, sent)
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), (method, path)


def test_errors_are_few_however_much_is_wrong(addresses: Addresses) -> None:
    many = {f"x{number}" + "y" * 30: {} for number in range(1_500)}
    for method, path, _, schema in addresses.each():
        for sent in (
            many,
            dict.fromkeys(schema["properties"], many),
            dict.fromkeys(schema["properties"], [{}] * 1_500),
        ):
            answer = addresses.send(method, path, sent)
            assert 400 <= answer.status_code < 500, (method, path, answer.text[:300])
            assert len(answer.json()["errors"]) <= MOST_ERRORS, (method, path)


def test_a_number_is_no_boolean_and_a_text_no_number(addresses: Addresses) -> None:
    looked_at = 0
    for method, path, _, schema in addresses.each():
        for name, described in schema["properties"].items():
            kinds = {each.get("type") for each in [described, *described.get("anyOf", ())]} - {None}
            wrong: tuple[Any, ...] = ()
            if "boolean" in kinds and not kinds & {"integer", "number", "string"}:
                wrong = (1, 0, 1.0, "true", "yes")
            elif "integer" in kinds and not kinds & {"string", "boolean"}:
                wrong = (True, "5", 1.5)
            for value in wrong:
                looked_at += 1
                answer = addresses.send(method, path, {name: value})
                assert answer.status_code == 422, (method, path, name, value)
                assert name in [each["field"] for each in answer.json()["errors"]], (method, path, name, value)
    assert looked_at > 20


def test_what_is_echoed_in_an_error_is_cut(addresses: Addresses) -> None:
    for method, path, _, schema in addresses.each():
        for sent in ({"z" * 100_000: 1}, dict.fromkeys(schema["properties"], "z" * 40_000)):
            answer = addresses.send(method, path, sent)
            assert answer.status_code < 500, (method, path, answer.text[:300])


def test_an_audience_of_half_a_million_numbers_gets_one_error(addresses: Addresses) -> None:
    given = {"name": "x", "template": "x", "audience": [1] * 500_000}
    answer = addresses.send("POST", "/api/v1/pages/100200300400/campaigns", given)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["audience", "audience.0"]


def test_one_thousand_wrong_members_are_counted_and_twenty_named(addresses: Addresses) -> None:
    attributes = {f"a{number}": {} for number in range(1_000)}
    problem = addresses.send("PUT", "/api/v1/pages/100200300400/contacts/7", {"attributes": attributes}).json()
    assert (problem["status"], len(problem["errors"]), problem["more_errors"]) == (
        422,
        MOST_ERRORS,
        problem["more_errors"],
    )
    # Each is wrong as each of the types that it may have; of so many places not all are told apart.
    assert problem["more_errors"] >= 980
    assert f"(and {problem['more_errors'] + MOST_ERRORS - 1:,} more)" in problem["detail"]
