from __future__ import annotations

import re
from collections.abc import Callable

import requests
from starlette.testclient import TestClient

from scheduler.api.app import create_app
from scheduler.store.redis_server import free_port


def test_the_description_brings_its_scripts_along(client: TestClient) -> None:
    page = client.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) >= 2
    for address in addresses:
        assert address.startswith("/"), address
        assert client.get(address).status_code == 200, address
    assert "http" not in re.sub(r"http://testserver", "", page).replace("https://fastapi", "")


def test_what_is_private_is_served_at_its_own_address_alone(
    database_url: str, redis_url: str, set_environment: Callable[..., None], eventually: Callable[..., None]
) -> None:
    port = free_port()
    set_environment(DULY_PRIVATE_PORT=str(port))
    private = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return requests.get(f"{private}/metrics", timeout=60).ok
        except requests.RequestException:
            return False

    with TestClient(create_app(), raise_server_exceptions=False) as public:
        eventually(answers, what="the private address")
        assert "duly_database_up 1.0" in requests.get(f"{private}/metrics", timeout=60).text
        assert requests.get(f"{private}/docs", timeout=60).ok
        assert "/api/v1/pages" in requests.get(f"{private}/openapi.json", timeout=60).json()["paths"]
        assert requests.get(f"{private}/api/v1/pages", timeout=60).status_code == 404
        for hidden in ("/metrics", "/docs", "/openapi.json"):
            assert public.get(hidden).status_code == 404, hidden
        assert public.get("/healthz").status_code == 200
        assert public.get("/api/v1/pages").status_code == 401
