"""Starts one program that cannot outlive its parent: ``python -I -S leash.py PARENT SIGNAL UID GID -- program …``.

Run as a script, by path, before the program takes this process over: it asks Linux to send SIGNAL when the parent dies
(even by ``kill -9``) and gives up root for UID:GID (``-`` keeps what it is). Imports nothing of Duly, so that it takes
milliseconds. Elsewhere than on Linux there is no such request, and the program starts without it.
"""

from __future__ import annotations

import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the program. Ends with status 1 when the parent is gone already."""
    parent, signal, uid, gid = arguments[:4]
    program = arguments[5:]
    tie = None
    if sys.platform == "linux":
        import ctypes  # loaded while we may still read the standard library

        tie = ctypes.CDLL(None, use_errno=True).prctl
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if tie is not None:
        tie(_PR_SET_PDEATHSIG, int(signal), 0, 0, 0)  # after the change of user, which clears it
    if os.getppid() != int(parent):
        sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main(sys.argv[1:])
