"""Write ``tests/unit/policies/findings.json`` anew: what every rule says in so many cases, to the letter.

Run it when the wording of findings changes on purpose (``python -m tests.mutation.write_findings``), and read the
difference before it is committed: the file is what people are told.
"""

from __future__ import annotations

import json
import random
import re
import sys
from dataclasses import asdict
from pathlib import Path

from policies.explain import explain
from policies.facts import facts_to_json
from policies.policy import parse_policy
from tests.properties.random_documents import WRITTEN, random_document
from tests.properties.random_facts import case

FILE = Path(__file__).parents[1] / "unit" / "policies" / "findings.json"
#: How many cases are looked through for sentences that were not met before.
TRIED = 3000
#: Ids and topics of random documents, and units: no part of the way in which a finding is put.
NAMES = {"house", "gap", "daily", "weekly", "doors", "promotions", "breath", "rolling", "news", "sport", "day", "week"}


def shapes(finding: dict[str, object]) -> set[str]:
    """A finding without its numbers and names: what is left are the ways in which its parts are put."""
    numbers = finding["numbers"]
    assert isinstance(numbers, dict)
    head = f"{finding['rule']} {finding['reason']} {finding['next_at'] is None}"
    found = {f"{head} {key} {value in (None, [])}" for key, value in numbers.items()}
    for part in re.split("[;,] ", re.sub(r"\([^)]*\)", "", str(finding["words"]))):
        # The plain words, each once; names and ids are no part of the way.
        plain = re.findall(r"(?<![\w/.-])[a-z]{2,}(?![\w/.-])", part)
        found.add(f"{head} {[word for word in dict.fromkeys(plain) if word not in NAMES]}")
    return found


def main() -> int:
    """Look for cases, write them, say how many."""
    chance, met, found = random.Random(7), set[str](), []
    texts = ["default", "platform-only", *WRITTEN.values(), *(random_document(chance) for _ in range(60))]
    texts = [f'[policy]\nname = "t"\nextends = "{text}"\n' if "\n" not in text else text for text in texts]
    policies = [parse_policy(text, where="t") for text in texts]
    for _ in range(TRIED):
        number = chance.randrange(len(texts))
        facts, now, remaining = case(chance)
        _, findings = explain(policies[number], facts, now, min_remaining=remaining)
        told = [json.loads(json.dumps(asdict(each))) for each in findings]
        if new := set[str]().union(*map(shapes, told)) - met:
            met |= new
            kept = [each for each in told if shapes(each) & new]
            asked = {"policy": texts[number], "facts": facts_to_json(facts), "now": now, "min_remaining": remaining}
            found.append(asked | {"findings": kept})
    FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(found)} cases, {len(met)} sorts of findings\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
