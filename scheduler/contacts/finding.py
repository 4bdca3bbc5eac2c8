"""Finding people by what somebody has of them: an id, a name, or an identity."""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy import text
from sqlmodel import Session

from scheduler.contacts.identities import KINDS, find_by_identity, uniform
from scheduler.contacts.tables import NAME_WORDS
from scheduler.errors import Invalid

#: Characters of what is looked for.
LONGEST = 200
#: People whom words find at most: whoever is not among the newest of these needs a closer word.
MOST_FOUND = 1_000

# As the index `contact_names` has it: folded, without accents, word by word.
# By that index whatever the planner believes: it would look for a rare name among all people, the newest first.
_NAMED = text(f"""
    WITH named AS MATERIALIZED (
        SELECT id, page_id FROM contact
        WHERE merged_into IS NULL AND erased_at IS NULL AND (name IS NOT NULL OR first_name IS NOT NULL)
            AND {NAME_WORDS} @@ to_tsquery('simple', :words)
    )
    SELECT id FROM named WHERE page_id = :page_id ORDER BY id DESC LIMIT :limit
""")  # noqa: S608 - our own words
_ADDRESSED = text("""
    SELECT coalesce(merged_into, id) AS id FROM contact
    WHERE page_id = :page_id AND psid = :psid AND erased_at IS NULL
""")


def find_people_by(session: Session, page_id: int, words: str, *, limit: int) -> list[int]:
    """The page's contacts for ``words``, newest first: contact ids, at most ``limit``.

    A page-scoped id, a CRM id, a telephone number or an address finds whom it names; anything else finds those whose
    names have words that begin so, whatever their case and accents. Of a merged contact, who stands for them. Raises
    Invalid when there is nothing to look for.
    """
    given = words.strip()
    if not given or len(given) > LONGEST or "\x00" in given:
        raise Invalid("is nothing to look for", field="q", way_out=f"give 1 to {LONGEST} characters of an id or a name")
    found = set(session.connection().execute(_ADDRESSED, {"page_id": page_id, "psid": given}).scalars())
    for kind in KINDS:
        try:
            found |= set(find_by_identity(session, page_id, kind, [uniform(kind, given)]).values())
        except Invalid:
            # It is not one of this kind.
            continue
    if named := _folded(given):
        values = {"page_id": page_id, "words": " & ".join(f"'{word}':*" for word in named), "limit": limit}
        found |= set(session.connection().execute(_NAMED, values).scalars())
    return sorted(found, reverse=True)[:limit]


def _folded(words: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", words.lower())
    return re.findall(r"\w+", "".join(each for each in plain if not "\u0300" <= each <= "\u036f"))
