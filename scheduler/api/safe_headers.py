"""Headers that every answer carries: what a browser may do with it is nothing."""

from __future__ import annotations

from typing import Final

#: The description's page alone has scripts and styles, which it brings along.
_DESCRIPTION = "/docs"
_ITS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
#: A browser that came by TLS comes by nothing else for two years.
_TRANSPORT: Final = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}


def safe_headers(path: str, scheme: str) -> dict[str, str]:
    """Those of an answer for ``path``; ``scheme`` is how the client came, as the proxy in front says."""
    headers = HEADERS | _TRANSPORT if scheme == "https" else dict(HEADERS)
    if path.startswith(_DESCRIPTION):
        headers["Content-Security-Policy"] = _ITS_POLICY
    return headers
