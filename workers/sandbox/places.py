"""Where the virtual people live: true zones with their country, region and languages. Typed here."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A city's zone; ``share`` of 1000 people live there. ``region`` where laws or zones differ inside a country."""

    zone: str
    country: str
    region: str | None
    locales: tuple[str, ...]
    share: int


PLACES = (
    # North America: where the clocks go forward in the night of 8 March 2026 (not in Phoenix, Honolulu, Mexico).
    Place("America/New_York", "US", "US-NY", ("en_US", "en_US", "es_LA"), 40),
    Place("America/New_York", "US", "US-FL", ("en_US", "es_LA"), 18),
    Place("America/Chicago", "US", "US-IL", ("en_US",), 26),
    Place("America/Chicago", "US", "US-TX", ("en_US", "es_LA"), 22),
    Place("America/Denver", "US", "US-CO", ("en_US",), 22),
    Place("America/Phoenix", "US", "US-AZ", ("en_US",), 12),
    Place("America/Los_Angeles", "US", "US-CA", ("en_US", "en_US", "es_LA"), 38),
    Place("America/Los_Angeles", "US", "US-WA", ("en_US",), 14),
    Place("America/Anchorage", "US", "US-AK", ("en_US",), 14),
    Place("Pacific/Honolulu", "US", "US-HI", ("en_US",), 18),
    Place("America/Toronto", "CA", "CA-ON", ("en_US", "fr_CA"), 22),
    Place("America/Halifax", "CA", "CA-NS", ("en_US",), 10),
    Place("America/St_Johns", "CA", "CA-NL", ("en_US",), 12),
    # Latin America
    Place("America/Mexico_City", "MX", None, ("es_LA",), 30),
    Place("America/Guatemala", "GT", None, ("es_LA",), 10),
    Place("America/Bogota", "CO", None, ("es_LA",), 18),
    Place("America/Lima", "PE", None, ("es_LA",), 14),
    Place("America/Sao_Paulo", "BR", None, ("pt_BR",), 44),
    Place("America/Argentina/Buenos_Aires", "AR", None, ("es_LA",), 14),
    Place("America/Santiago", "CL", None, ("es_LA",), 10),
    # Europe
    Place("Europe/London", "GB", None, ("en_GB",), 46),
    Place("Europe/Dublin", "IE", None, ("en_GB",), 10),
    Place("Europe/Lisbon", "PT", None, ("pt_PT",), 22),
    Place("Europe/Madrid", "ES", None, ("es_ES",), 34),
    Place("Europe/Paris", "FR", None, ("fr_FR",), 48),
    Place("Europe/Brussels", "BE", None, ("fr_FR", "nl_NL"), 12),
    Place("Europe/Berlin", "DE", None, ("de_DE",), 50),
    Place("Europe/Vienna", "AT", None, ("de_DE",), 12),
    Place("Europe/Zurich", "CH", None, ("de_DE", "fr_FR", "it_IT"), 12),
    Place("Europe/Rome", "IT", None, ("it_IT",), 18),
    Place("Europe/Warsaw", "PL", None, ("pl_PL",), 12),
    Place("Europe/Athens", "GR", None, ("el_GR",), 8),
    Place("Europe/Istanbul", "TR", None, ("tr_TR",), 10),
    # Africa
    Place("Africa/Casablanca", "MA", None, ("fr_FR", "ar_AR"), 8),
    Place("Africa/Lagos", "NG", None, ("en_GB",), 10),
    Place("Africa/Nairobi", "KE", None, ("en_GB",), 8),
    Place("Africa/Johannesburg", "ZA", None, ("en_GB",), 10),
    # Asia, with the half-hours and quarter-hours
    Place("Asia/Dubai", "AE", None, ("ar_AR", "en_GB"), 8),
    Place("Asia/Kolkata", "IN", None, ("en_GB", "hi_IN"), 34),
    Place("Asia/Kathmandu", "NP", None, ("en_GB",), 12),
    Place("Asia/Yangon", "MM", None, ("en_GB",), 8),
    Place("Asia/Bangkok", "TH", None, ("th_TH",), 10),
    Place("Asia/Singapore", "SG", None, ("en_GB",), 10),
    Place("Asia/Manila", "PH", None, ("en_US",), 12),
    Place("Asia/Tokyo", "JP", None, ("ja_JP",), 24),
    Place("Asia/Seoul", "KR", None, ("ko_KR",), 10),
    # Oceania
    Place("Australia/Perth", "AU", "AU-WA", ("en_GB",), 10),
    Place("Australia/Eucla", "AU", "AU-WA", ("en_GB",), 4),
    Place("Australia/Darwin", "AU", "AU-NT", ("en_GB",), 6),
    Place("Australia/Adelaide", "AU", "AU-SA", ("en_GB",), 10),
    Place("Australia/Sydney", "AU", "AU-NSW", ("en_GB",), 24),
    Place("Australia/Lord_Howe", "AU", "AU-NSW", ("en_GB",), 6),
    Place("Pacific/Auckland", "NZ", None, ("en_GB",), 14),
    Place("Pacific/Chatham", "NZ", None, ("en_GB",), 6),
    Place("Pacific/Kiritimati", "KI", None, ("en_GB",), 4),
)
