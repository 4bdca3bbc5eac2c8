"""What workers are called: two on different hosts must not share a name."""

from __future__ import annotations

import socket

from workers.start import node_name


def test_a_worker_is_called_by_its_host() -> None:
    name, _, host = node_name().partition("@")
    assert (name, host) == ("duly", socket.gethostname())
