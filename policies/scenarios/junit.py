"""Results as JUnit XML, which every CI shows: a suite for each file, a case for each result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from junitparser import Attr, Failure, JUnitXml, TestCase, TestSuite

from policies.scenarios.report import failure_text
from policies.scenarios.run import Result

#: What XML 1.0 cannot hold.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Case(TestCase):
    """A test case that names its place: not in the schema's core, but what CI services link a failure to."""

    file = Attr()
    line = Attr()


def write_junit(results: Sequence[Result], path: Path) -> None:
    """Write the report, making its folder if need be. Raises OSError."""
    report = JUnitXml("duly policy test")
    by_file: dict[str, list[Result]] = {}
    for result in results:
        by_file.setdefault(result.scenario.where, []).append(result)
    for where, own in by_file.items():
        suite = TestSuite(_legal(where))
        suite.add_testcases([_case(result) for result in own])
        report.add_testsuite(suite)
    path.parent.mkdir(parents=True, exist_ok=True)
    report.write(str(path), pretty=True)


def _case(result: Result) -> _Case:
    case = _Case(_legal(result.scenario.name), classname=_legal(result.scenario.where))
    case.file = _legal(result.scenario.where)
    case.line = str(result.scenario.line)
    if not result.passed:
        fields = dict.fromkeys(each.field for check in result.checks for each in check.differences)
        failure = Failure(f"not as expected: {', '.join(fields)}", "AssertionError")
        failure.text = _legal(failure_text(result))
        case.result = [failure]
    return case


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
