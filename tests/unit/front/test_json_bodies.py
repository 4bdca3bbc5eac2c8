"""Bodies of the REST API: what Python's reader takes and nobody else does is refused, with its place."""

from __future__ import annotations

import time

import pytest

from scheduler.api.body_sizes import LARGE, USUAL, Size, is_file, size_at
from scheduler.api.json_bodies import DEEPEST, check_json
from scheduler.errors import Invalid
from tests.patience import patience

_AUDIENCE = LARGE["/api/v1/pages/{page}/campaigns"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"[" * 100_000, "lists and objects"),
        (b'{"a":' * 100_000, "lists and objects"),
        (b'{"a":' + b"[" * DEEPEST + b"]" * DEEPEST + b"}", "in one another"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "a number of 100000 digits, `999999999999"),
        (b'{"a": -' + b"9" * 41 + b"}", "a number of 42 digits"),
        (b'{"a": 1e999999}', "`1e999999`"),
        (b'{"a": 0.' + b"1" * 100_000 + b"}", "too large or too long"),
        (b'{"a": NaN}', "has NaN, which is not JSON"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "has `c` twice"),
        (b'{"a": "\xff"}', "byte 8 is not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        ('{"a": 1}'.encode("utf-16-le"), "is it UTF-8?"),
        (b'{"a": 1', "is not valid JSON at character 7"),
        (b"[1]" + b"]" * 50_000, "is not valid JSON at character 3"),
        (b"[" + b"1," * 2_000 + b"1]", "more than 2000 values"),
        (b"[" + b"{}" * 5_001 + b"]", "more than 5000 lists and objects"),
        (b"{" + b",".join(b'"a%d":1' % each for each in range(2_001)) + b"}", "more than 2000 values"),
        (b'"' + b'"\\' * 50_000, "is not valid JSON"),
    ],
)
def test_what_no_address_should_read_is_refused_with_its_place(raw: bytes, words: str) -> None:
    began = time.process_time()
    with pytest.raises(Invalid) as refused:
        check_json(raw, USUAL)
    assert refused.value.field == "body"
    assert words in refused.value.message
    assert len(str(refused.value)) < 300
    assert time.process_time() - began < patience(1)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": [1, -2.5, true, null, "x"], "b": {"a": 1}}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"document": "' + b"[[hours]]," * 6_000 + b'"}',
        b'{"a": "\\ud83d\\ude00", "b": "' + "ü".encode() + b'"}',
        b'{"a": ' + b"9" * 40 + b"}",
    ],
)
def test_what_shops_send_is_read(raw: bytes) -> None:
    check_json(raw, USUAL)


def test_an_audience_of_a_million_is_read_and_one_that_is_larger_is_not() -> None:
    people = b",".join(b'"%016d"' % number for number in range(1_000_000))
    body = b'{"audience": [' + people + b"]}"
    assert len(body) < _AUDIENCE.bytes
    check_json(body, _AUDIENCE)
    members = b",".join(b'"a%d":1' % number for number in range(3_000))
    with pytest.raises(Invalid, match="an object of 3000 members"):
        check_json(b"{" + members + b"}", _AUDIENCE)
    with pytest.raises(Invalid, match="values"):
        check_json(b'{"audience": [' + b"1," * 1_002_000 + b"1]}", _AUDIENCE)


def test_each_address_has_its_size() -> None:
    assert size_at("/api/v1/pages/100200/campaigns") == _AUDIENCE
    assert size_at("/api/v1/pages/100200/campaigns/1") == USUAL
    assert size_at("/api/v1/pages/100200") == Size(3 * 1024 * 1024, 20_100)
    assert size_at("/api/v1/kill-switch") == USUAL
    assert is_file("/api/v1/pages/100200/imports")
    assert not is_file("/api/v1/imports/1/mapping")
