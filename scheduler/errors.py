"""The one tree of errors that a person may see, and the exit codes they end a command with.

    DulyError                  1   500
    ├── Invalid                2   422   what was given cannot be used; names the field and the way out
    │   ├── Malformed          2   400   it could not even be read
    │   ├── TooLarge           2   413   it is over a size limit
    │   └── SettingsInvalid    2   500   a setting stops the start, by name
    ├── NotAuthenticated       3   401   no valid key or signature came with it
    ├── NotPermitted           3   403   a rule or a right forbids it
    ├── NotFound               4   404   nothing has that name or id
    ├── Conflict               5   409   the state it is in does not allow that
    │   └── AlreadyRunning     5   409   a stack holds this folder already
    ├── TooMany                6   429   more than the rate that is allowed
    └── Unavailable            6   503   something Duly depends on does not answer
        ├── ClockWrong         6   503   the clock of this process differs too much from the database's
        └── Busy               6   503   as much of this is being worked on as may be at a time

Messages are lower case without a full stop, quote the user's input in backticks and say the next step (``way_out``).
"""

from __future__ import annotations

import inspect
from typing import ClassVar

#: Exit codes of every ``duly`` command, in the words of the documentation.
EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "failed: an unexpected error, or a check that did not pass",
    2: "what was given cannot be used",
    3: "not permitted",
    4: "not found",
    5: "conflict with the present state",
    6: "something Duly depends on is not available",
    130: "interrupted",
}


class DulyError(Exception):
    """something went wrong"""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    #: The HTTP status of a front door that speaks HTTP.
    status: ClassVar[int] = 500
    #: Real seconds after which it is worth trying again, where it is.
    retry_after: int | None = None

    def __init__(self, message: str | None = None, *, field: str | None = None, way_out: str | None = None) -> None:
        """Say what is wrong; ``field`` names the place in the input, ``way_out`` the next step."""
        self.message = message or inspect.cleandoc(type(self).__doc__ or "something went wrong")
        self.field = field
        self.way_out = way_out
        super().__init__(self.message)

    def __str__(self) -> str:
        place = f"{self.field}: " if self.field else ""
        next_step = f"; {self.way_out}" if self.way_out else ""
        return f"{place}{self.message}{next_step}"


class Invalid(DulyError):
    """what was given cannot be used"""

    code = "invalid"
    exit_code = 2
    status = 422


class Malformed(Invalid):
    """what was given could not be read"""

    code = "malformed"
    status = 400


class TooLarge(Invalid):
    """what was given is over the size limit"""

    code = "too_large"
    status = 413


class SettingsInvalid(Invalid):
    """a setting cannot be used"""

    code = "settings_invalid"
    status = 500


class NotAuthenticated(DulyError):
    """no valid key came with the request"""

    code = "not_authenticated"
    exit_code = 3
    status = 401


class NotPermitted(DulyError):
    """that is not permitted"""

    code = "not_permitted"
    exit_code = 3
    status = 403


class NotFound(DulyError):
    """nothing has that name or id"""

    code = "not_found"
    exit_code = 4
    status = 404


class Conflict(DulyError):
    """the present state does not allow that"""

    code = "conflict"
    exit_code = 5
    status = 409


class AlreadyRunning(Conflict):
    """a stack is already running in this folder"""

    code = "already_running"


class TooMany(DulyError):
    """too many requests"""

    code = "too_many"
    exit_code = 6
    status = 429

    def __init__(self, message: str | None = None, *, retry_after: int = 1, way_out: str | None = None) -> None:
        """``retry_after``: real seconds until it is worth trying again."""
        super().__init__(message, way_out=way_out)
        self.retry_after = retry_after


class Unavailable(DulyError):
    """something Duly depends on does not answer"""

    code = "unavailable"
    exit_code = 6
    status = 503
    retry_after = 1


class ClockWrong(Unavailable):
    """the clock of this process differs too much from the database's"""

    code = "clock_wrong"
    retry_after = 5


class Busy(Unavailable):
    """as much of this is being worked on as may be at a time"""

    code = "busy"
    retry_after = 2
