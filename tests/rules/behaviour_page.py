"""Writes docs/behaviours.md from the shipped rulebook: `python -m tests.rules.behaviour_page`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any

from engine.core.quantify import Assessment, assess
from engine.core.rules import CATEGORIES, RuleBook
from engine.rulebook import check_rulebook, load_rulebook, shipped_rules
from engine.rulefiles import models as m
from engine.rulefiles.reading import parse_document

PAGE = Path(__file__).parents[2] / "docs" / "behaviours.md"
CONFIDENCES = ("documented", "derived", "assumed")
MARK = re.compile(r"<!-- made: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)
HEAD = "| behaviour | | a typical act | energy | avoided CO2e | caps | evidence | others see |"


@cache
def behaviour_files() -> dict[str, m.BehaviourFile]:
    """The shipped behaviours by id, as their files say."""
    found = {}
    for path in sorted(shipped_rules().glob("behaviours/*/*.yaml")):
        document, _ = parse_document(path.read_bytes(), path.name)
        assert document is not None
        found[path.stem] = m.BehaviourFile.model_validate(document.tree)
    return found


def typical(rules: RuleBook, file: m.BehaviourFile) -> tuple[m.Example, Assessment]:
    """The first example of a file, which is a typical act, and what it is worth."""
    example = file.examples[0]
    quantity = Decimal(example.quantity.text)
    sent: dict[str, object] = dict(example.attributes)
    unit = example.unit or file.quantity.unit
    return example, assess(rules, file.id, quantity, unit, example.on, sent, example.province)


def category(rules: RuleBook, name: str) -> Iterator[str]:
    """The behaviours of a category, a row each."""
    yield HEAD
    yield "|---|---|---|---|---|---|---|---|"
    for file in behaviour_files().values():
        if file.category == name:
            yield _row(rules, file)


def _row(rules: RuleBook, file: m.BehaviourFile) -> str:
    example, worth = typical(rules, file)
    now = rules.behaviours[file.id].on(example.on)
    assert now is not None
    energy = f"{worth.energy_g:,} g, {sureness(worth.trace['energy'])}"
    caps = ", ".join(f"`{key}` {cap.text}" for key, cap in now.cap_values.items()) or "none"
    evidence = ", ".join(f"{row.kind} ({row.grade})" for row in file.evidence)
    cells = [file.names.zh, act(file, example), energy, avoided(file, worth), caps, evidence, file.others_see]
    return f"| `{file.id}` | {' | '.join(cells)} |"


def act(file: m.BehaviourFile, example: m.Example) -> str:
    """What the typical act reports, in words."""
    quantity = (
        int(example.quantity.text) if example.quantity.amount.denominator == 1 else example.quantity.text
    )
    told = f"{quantity:,}" if isinstance(quantity, int) else quantity
    return f"{example.name}: {told} {example.unit or file.quantity.unit}"


def avoided(file: m.BehaviourFile, worth: Assessment) -> str:
    """Avoided emissions of the typical act with their uncertainty and how sure the numbers are."""
    if isinstance(file.avoided, m.NoneFormula):
        return "0, points only"
    trace: dict[str, Any] = worth.trace["avoided"]
    uncertainty = trace.get("uncertainty_pct")
    spread = f" ± {uncertainty} %" if uncertainty is not None else ""
    return f"{grams(worth.avoided_mg)} g{spread}, {sureness(trace)}"


def grams(milligrams: int) -> str:
    """Milligrams as grams: three digits, or all before the point."""
    value = Decimal(milligrams) / 1000
    if value >= 100:
        return f"{value.to_integral_value(ROUND_HALF_UP):,}"
    digits = max(0, 2 - value.adjusted())
    return f"{value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)}"


def sureness(trace: Mapping[str, Any]) -> str:
    """How sure the numbers are that the act was worked out with, the most frequent kind first."""
    found = Counter(_confidences(trace))
    ordered = sorted(found, key=lambda one: (-found[one], CONFIDENCES.index(one)))
    return ordered[0] if len(ordered) == 1 else ", ".join(f"{found[one]} {one}" for one in ordered)


def _confidences(tree: object) -> Iterator[str]:
    if isinstance(tree, Mapping):
        if "confidence" in tree:
            yield str(tree["confidence"])
        tree = list(tree.values())
    if isinstance(tree, list):
        for inner in tree:
            yield from _confidences(inner)


def counts() -> Iterator[str]:
    """How many numbers of the whole rulebook are documented, derived and assumed."""
    report = check_rulebook()
    told = ", ".join(f"{report.values[one]} {one}" for one in CONFIDENCES)
    yield f"{report.behaviours} behaviours, {report.factors} factors; of their numbers and those of the game {told}."


def reasons() -> Iterator[str]:
    """Why the points-only behaviours avoid nothing."""
    for file in behaviour_files().values():
        if isinstance(file.avoided, m.NoneFormula):
            yield f"- `{file.id}`: {file.avoided.reason}"


def page_with_tables(page: str) -> str:
    """The page with fresh tables between its marks."""
    made: dict[str, Any] = {"counts": counts, "points-only": reasons}
    rules = load_rulebook()
    made |= {name: partial(category, rules, name) for name in CATEGORIES}
    return MARK.sub(
        lambda mark: "\n".join([f"<!-- made: {mark[1]} -->", *made[mark[1]](), "<!-- end -->"]), page
    )


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
