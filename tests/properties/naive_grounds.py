"""The second reading of why a message may go: grounds and consents, judged at one instant."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from policies.facts import Consent, Facts, Token
from tests.properties.naive_documents import DAY, Document, seconds
from tests.properties.naive_places import Entry, Place, law, midnight, platform, reaches_apps, spelled_out

#: The grounds, the preferred first, and the kind of token that each of the last three asks for.
GROUNDS = {
    "standard_window": None,
    "utility_template": None,
    "marketing_token": "marketing",
    "recurring": "recurring",
    "one_time_token": "one_time",
}


def span_after(granted_at: int, span: str) -> int:
    """A calendar span ("6mo", "2y", "30d") after an instant, in UTC; a day that a month has not is its last."""
    count, unit = re.fullmatch(r"(\d+)(y|mo|d)", span).groups()  # type: ignore[union-attr]  # packs are checked
    then = datetime.fromtimestamp(granted_at, UTC)
    if unit == "d":
        return int((then + timedelta(days=int(count))).timestamp())
    months = then.year * 12 + then.month - 1 + int(count) * (12 if unit == "y" else 1)
    year, month = months // 12, months % 12 + 1
    day = min(then.day, calendar.monthrange(year, month)[1])
    return int(then.replace(year=year, month=month, day=day).timestamp())


class Grounds:
    """What the grounds and the consents of one contact say at an instant."""

    def __init__(self, document: Document, facts: Facts, place: Place) -> None:
        self.document, self.facts, self.place = document, facts, place
        asked = [(law(code) or {}).get("consent") for code in sorted(place.jurisdictions)]
        if document.jurisdictions == "off":
            self.consent_laws: list[Entry] = []
        elif not place.jurisdictions:
            self.consent_laws = [{"kinds": ["express"]}]  # unknown is not permitted
        else:
            legal = document.jurisdictions == "legal"
            self.consent_laws = [each for each in asked if each and (not legal or reaches_apps(each))]
        if document.consent != "packs" or facts.category != "promotional":
            self.consent_laws = []

    # --- grounds ---

    def holds(self, ground: str, at: int) -> bool:
        kind = GROUNDS[ground]
        if ground == "standard_window":
            return self.window(at)
        if kind is None:
            its = platform()["utility_template"]["categories"]
            return self.facts.category in its and self.facts.template_approved
        return any(self.token(ground, token, at) for token in self.facts.tokens if token.kind == kind)

    def window(self, at: int) -> bool:
        margin, since, ad = self.document.margin, self.facts.last_inbound, self.facts.ad_inbound
        if since is not None and since <= at < since + DAY - margin:
            return True
        terms = platform()["click_to_messenger"]
        long = self.document.click_to_messenger and ad is not None and ad >= midnight(terms["since"])
        return long and ad is not None and ad <= at < ad + seconds(terms["length"]) - margin

    def token(self, ground: str, token: Token, at: int) -> bool:
        terms, facts = platform()[ground], self.facts
        if facts.category not in terms["categories"]:
            return False
        if token.expires_at is not None and at >= token.expires_at:
            return False
        if token.topic is not None and token.topic != facts.topic:
            return False
        if ground == "one_time_token":
            return token.last_used_at is None
        if not self.available(terms, at):
            return False
        return not any(used <= at < used + seconds(terms["rest"]) for used in self.uses(ground, token))

    def uses(self, ground: str, token: Token) -> Iterator[int]:
        """When what lets this token rest was used: the token, or any marketing token of the person."""
        if ground == "recurring":
            used = [token.last_used_at]
        else:
            used = [each.last_used_at for each in self.facts.tokens if each.kind == "marketing"]
            used += [send.at for send in self.facts.sends if send.ground == "marketing_token"]
        return (at for at in used if at is not None)

    def available(self, terms: Entry, at: int) -> bool:
        countries = self.place.countries
        if countries & spelled_out(terms.get("unavailable_in", ())):
            return False
        if "period" not in terms:
            return True
        for period in terms["period"]:
            since, until = period.get("since"), period.get("until")
            if (since is None or at >= midnight(since)) and (until is None or at < midnight(until)):
                only = period.get("only_in")
                return only is None or (bool(countries) and countries <= spelled_out(only))
        return False

    # --- consents ---

    def matching(self, kinds: list[str]) -> list[Consent]:
        """The consents of these kinds that speak of the message's topic."""
        return [each for each in self.facts.consents if each.kind in kinds and each.topic in (None, self.facts.topic)]

    @staticmethod
    def end(consent: Consent, terms: Entry) -> int | None:
        """When a consent ends under a jurisdiction's terms; None: never."""
        stated, longest = consent.expires_at, terms.get("express_lasts")
        if consent.kind == "implied":
            longest = terms.get("implied_lasts" if stated is None else "implied_at_most")
        ends = [stated] if stated is not None else []
        ends += [span_after(consent.granted_at, longest)] if longest else []
        return min(ends, default=None)

    def in_force(self, consent: Consent, terms: Entry, at: int) -> bool:
        end = self.end(consent, terms)
        return consent.granted_at <= at and (end is None or at < end)

    def consent(self, at: int) -> bool:
        return all(
            any(self.in_force(each, terms, at) for each in self.matching(terms["kinds"])) for terms in self.consent_laws
        )

    def consent_reasons(self, now: int, until: int) -> set[str]:
        """The codes that tell why there is no consent now, or not until then; more than one where texts differ."""
        found: set[str] = set()
        for terms in self.consent_laws:
            consents = self.matching(terms["kinds"])
            ended = any((end := self.end(each, terms)) is not None and end <= now for each in consents)
            if not any(self.in_force(each, terms, now) for each in consents):
                found.add("consent_expired" if ended else "no_consent")
            elif not any(self.in_force(each, terms, until) for each in consents):
                found |= {"consent_expired", "no_consent"}
        return found or {"consent_expired", "no_consent"}

    # --- when things change ---

    def edges(self) -> set[int]:
        """Every instant at which a ground or a consent may begin or end."""
        facts, margin, found = self.facts, self.document.margin, set[int]()
        for since, length in ((facts.last_inbound, DAY), (facts.ad_inbound, seconds("7d"))):
            found |= set() if since is None else {since, since + length - margin}
        for token in facts.tokens:
            found |= {token.expires_at} if token.expires_at is not None else set()
        used = [send.at for send in facts.sends] + [token.last_used_at for token in facts.tokens]
        rests = [seconds(platform()[each]["rest"]) for each in ("marketing_token", "recurring")]
        found |= {at + rest for at in used if at is not None for rest in rests}
        for period in platform()["recurring"]["period"]:
            found |= {midnight(period[key]) for key in ("since", "until") if key in period}
        laws = [each.get("consent") for code in self.place.jurisdictions if (each := law(code))]
        for each in facts.consents:
            ends = {self.end(each, terms) for terms in (*self.consent_laws, *laws, {}) if terms is not None}
            found |= {each.granted_at} | {end for end in ends if end is not None}
        return found
