"""The container files are not run here; what they name must exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}


def _commands() -> Iterator[list[str]]:
    for service in OURS.values():
        yield service["command"]
        check = service.get("healthcheck", {}).get("test")
        if check:
            yield shlex.split(check[1]) if check[0] == "CMD-SHELL" else check[1:]
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("CMD "):
            yield yaml.safe_load(line.removeprefix("CMD "))


def test_the_services_are_those_of_production() -> None:
    assert set(SERVICES) == {"postgres", "redis", "migrate", "web", "front", "worker", "beat"}


def test_workers_can_be_scaled() -> None:
    # A fixed name, a host name or a published port can be had once only.
    assert not {"container_name", "hostname", "ports"} & set(SERVICES["worker"])
    assert "%h" in SERVICES["worker"]["command"][-1]


def test_another_worker_goes_on_when_one_is_killed() -> None:
    assert SERVICES["worker"]["deploy"]["replicas"] >= 2


def test_every_variable_is_a_setting_and_every_asked_one_says_how_to_set_it() -> None:
    for service in OURS.values():
        assert {name for name in service["environment"] if name.startswith(PREFIX)} <= SETTINGS
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert {name for name in asked if name.startswith(PREFIX)} <= SETTINGS
    assert {name for name in asked if not name.startswith(PREFIX)} == {"POSTGRES_PASSWORD", "DOMAIN"}
    environment = re.findall(r"\b(DULY_\w+)=", (ROOT / "Dockerfile").read_text())
    assert set(environment) <= SETTINGS


@pytest.mark.parametrize("argv", list(_commands()), ids=" ".join)
def test_every_command_exists(argv: list[str]) -> None:
    program = argv[0]
    assert Path(sys.executable).with_name(program).exists(), program
    for word in argv[1:]:
        named = re.fullmatch(r"((?:scheduler|workers)\.[\w.]+)(?::(\w+))?", word)
        if named:
            assert importlib.util.find_spec(named[1]) is not None, word
            if named[2]:
                assert hasattr(importlib.import_module(named[1]), named[2]), word


def test_every_dependency_and_volume_is_declared() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]
        for volume in service.get("volumes", []):
            place = volume.partition(":")[0]
            assert (ROOT / place).exists() if place.startswith("./") else place in COMPOSE["volumes"]


def test_whoever_serves_the_application_does_it_with_its_limits() -> None:
    entry = ["python", "-m", "scheduler.api"]
    started = (ROOT / "scheduler" / "supervise" / "stack.py").read_text()
    (image,) = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("CMD ")]
    assert SERVICES["web"]["command"] == entry
    assert yaml.safe_load(image.removeprefix("CMD "))[:3] == entry
    assert '"-m", "scheduler.api"' in started
    assert "uvicorn" not in started


def test_the_front_alone_is_open_and_says_where_a_request_comes_from() -> None:
    open_ports = {
        name for name, service in SERVICES.items() for port in service.get("ports", ()) if not port.startswith("127.")
    }
    assert open_ports == {"front"}
    address = SERVICES["front"]["networks"]["front"]["ipv4_address"]
    assert SERVICES["web"]["environment"]["DULY_TRUSTED_PROXIES"] == address
    (network,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    assert ip_address(address) in ip_network(network["subnet"])
    written = (ROOT / "deploy" / "Caddyfile").read_text()
    for limit in ("max_header_size", "read_header", "read_body", "write", "idle", "max_size", "Strict-Transport"):
        assert limit in written, limit
    port = SERVICES["web"]["environment"]["DULY_PRIVATE_PORT"]
    assert port not in str(SERVICES["web"]["ports"]) + str(SERVICES["front"]["ports"])


def test_every_path_exists_and_is_let_into_the_image() -> None:
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    copied = []
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY "):
            copied += line.split()[1:-1]
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert path in let_in, path


def test_it_does_not_run_as_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER duly"]
    assert max(i for i, line in enumerate(lines) if line.startswith("USER")) > max(
        i for i, line in enumerate(lines) if line.startswith("RUN")
    )
