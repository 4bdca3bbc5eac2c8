"""All packs at once: read when the package is built, so that none that cannot be read is ever shipped."""

from __future__ import annotations

from policies import country_codes
from policies.keyword_packs import keyword_packs
from policies.law import jurisdictions_with_packs, read_pack
from policies.platform_pack import platform_pack, platform_packs
from policies.territories import territories


def check_packs() -> int:
    """Read every pack; how many there are. Raises PolicyError with the file, line and key of the first wrong one."""
    codes = sorted(jurisdictions_with_packs())
    for code in codes:
        read_pack(code)
    for name in platform_packs():
        platform_pack(name)
    territories()
    country_codes.codes()
    return len(codes) + len(platform_packs()) + len(keyword_packs()) + 2
