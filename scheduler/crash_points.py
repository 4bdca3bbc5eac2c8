"""Named points at which a test lets a process die, as a machine would: at once, with nothing tidied up.

``DULY_CRASH_POINT`` names the one that is armed; it is read once, at the start, and refused in production.
"""

from __future__ import annotations

import os
import signal

from scheduler.settings import CrashPoint, get_settings


def reach(point: CrashPoint) -> None:
    """Die here when this is the armed point; else nothing happens."""
    if get_settings().crash_point == point:
        os.kill(os.getpid(), signal.SIGKILL)
