"""The process apart, ``python -m scheduler.api.apart_child``: a line of JSON in, a line of JSON out.

It has no database, no secret and no network of Duly's, and gives itself little memory and processor time, so that what
an odd text costs is lost here. ``apart.py`` starts it, asks it, and kills it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from scheduler.content.bodies import check_bodies
from scheduler.errors import Invalid
from scheduler.governance.clause_changes import searched
from scheduler.governance.documents import read_canonical, read_policy, whole_document

#: Bytes of address space beyond what it has when everything is imported, and seconds of processor time for one job.
_MEMORY = 256 * 1024 * 1024
_SECONDS = 2
#: After so many jobs, or having once held so many bytes, it ends, and another one is started.
_JOBS = 500
_GROWN = 192 * 1024 * 1024


def _template(bodies: dict[str, Any], default_locale: str, utility_name: str | None) -> dict[str, Any]:
    checked = check_bodies(bodies, default_locale, utility_name)
    return {"bodies": checked.bodies, "default_locale": checked.default_locale}


def _policy(document: str) -> dict[str, Any]:
    return {"document": whole_document(read_policy(document))}


def _prospect(old: str, new: str, now: int, patience: float) -> dict[str, Any]:
    return asdict(searched(read_canonical(old), read_canonical(new), now, patience))


_WORK: dict[str, Callable[..., dict[str, Any]]] = {"template": _template, "policy": _policy, "prospect": _prospect}


def main() -> None:
    """Answer until nobody asks any more."""
    # Whatever prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = _address_space() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for number, line in enumerate(sys.stdin, start=1):
        asked = json.loads(line)
        # The soft limit is of the whole process: what it has used, and what this job may use.
        most = int(time.process_time() + asked["seconds"]) + 1 + _SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > _GROWN
        last = {"last": True} if number >= _JOBS or grown else {}
        print(json.dumps(_answer(asked["job"], asked["given"]) | last), file=answers, flush=True)
        if last:
            return


def _answer(job: str, given: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"done": _WORK[job](**given)}
    except Invalid as error:
        return {"refused": {"message": error.message, "field": error.field, "way_out": error.way_out}}
    except (MemoryError, RecursionError):
        return {"too_much": True}


def _address_space() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as told:
            return int(told.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2 * _MEMORY


if __name__ == "__main__":
    main()
