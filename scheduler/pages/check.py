"""Asks the platform whether a page's token works. The only part of this room that touches the network."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import requests

from scheduler.errors import Unavailable

#: Seconds to connect and between two bytes of the answer.
_TIMEOUT = (3.05, 10)


@dataclass(slots=True, kw_only=True)
class PageCheck:
    """What the platform said about a page."""

    ok: bool
    #: The page's name as the platform knows it.
    name: str | None = None
    #: The platform's error code; 190 is a bad or expired token.
    code: int | None = None
    words: str = ""


def check_page(graph_url: str, graph_version: str, external_id: str, token: str, app_secret: bytes) -> PageCheck:
    """Look the page up as sends do, with its token and the proof of its app's secret.

    Raises Unavailable when the platform cannot be reached.
    """
    proof = hmac.digest(app_secret, token.encode(), hashlib.sha256).hex()
    try:
        with requests.Session() as session:
            # Proxies and netrc of the environment would send the token to places nobody configured here.
            session.trust_env = False
            answer = session.get(
                f"{graph_url}/{graph_version}/{external_id}",
                params={"fields": "id,name", "appsecret_proof": proof},
                # In a header: addresses end up in logs.
                headers={"Authorization": f"Bearer {token}"},
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
    except requests.RequestException as error:
        raise Unavailable(
            "the platform does not answer", way_out="check DULY_GRAPH_URL and the network, then try again"
        ) from error
    try:
        body = answer.json()
    except ValueError:
        raise Unavailable(
            f"the platform answered {answer.status_code} with something that is not JSON",
            way_out="check DULY_GRAPH_URL, then try again",
        ) from None
    if not isinstance(body, dict):
        body = {}
    error_body = body.get("error")
    # The platform may put an error into an answer with status 200: the body decides.
    if isinstance(error_body, dict):
        code = error_body.get("code")
        code = code if isinstance(code, int) else None
        words = "the token is bad or has expired" if code == 190 else f"the platform refused with code {code}"
        if "appsecret_proof" in str(error_body.get("message")):
            words = "the app's secret is not that of the app the token was made for"
        return PageCheck(ok=False, code=code, words=words)
    if answer.status_code >= 500:
        raise Unavailable(f"the platform answered {answer.status_code}", way_out="try again in a minute")
    if str(body.get("id")) != external_id:
        return PageCheck(ok=False, words="the token is of another page")
    name = body.get("name")
    return PageCheck(ok=True, name=name if isinstance(name, str) else None, words="the token works")
