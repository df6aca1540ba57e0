"""An act that nobody has done, worked out as the game would: the same assessment and trace that each ball keeps.

Pure: a rulebook and an act go in, a document for people and machines comes out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.errors import Rejected
from engine.core.quantify import assess, booked_alone_g, describe, recount
from engine.core.rules import RuleBook
from engine.core.values import Value
from engine.workbench.chinese import describe_zh

LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Act:
    """What a source would report; `unit` None: the behaviour's own."""

    behaviour: str
    quantity: Decimal
    on: date
    unit: str | None = None
    province: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)


def explain(book: RuleBook, act: Act, language: str = "en") -> dict[str, Any]:
    """The calculation in words, with trace, caps, references and uncertainty. Raises Rejected as the game does."""
    rule = book.behaviours.get(act.behaviour)
    if rule is None:
        near = difflib.get_close_matches(act.behaviour[:64], book.behaviours, n=3)
        raise Rejected("unknown_behaviour", behaviour=act.behaviour[:64], near=near)
    unit = act.unit or rule.unit
    result = assess(book, act.behaviour, act.quantity, unit, act.on, act.attributes, act.province)
    in_force = rule.on(act.on)
    assert in_force is not None, "assess has refused what is not in force"
    trace = result.trace
    tell = describe_zh if language == "zh" else describe
    return {
        "behaviour": rule.id,
        "names": dict(rule.names),
        "rules": book.hash,
        "energy_g": result.energy_g,
        "booked_g": booked_alone_g(in_force, result.energy_g),
        "avoided_mg": result.avoided_mg,
        "between_mg": _between(result.avoided_mg, trace["avoided"].get("uncertainty_pct")),
        "caps": {name: _value(value) for name, value in in_force.cap_values.items()},
        "steps": tell(trace, book),
        "agrees": recount(trace) == (result.energy_g, result.avoided_mg),
        "references": [_reference(book, name) for name in dict.fromkeys(_cited(trace))],
        "trace": trace,
    }


def _between(avoided_mg: int, uncertainty_pct: str | None) -> list[int] | None:
    """Least and most of the avoided emissions by the stated uncertainty, in whole milligrams, rounded outwards."""
    if uncertainty_pct is None or not avoided_mg:
        return None
    half = avoided_mg * Fraction(uncertainty_pct) / 100
    return [max(0, (avoided_mg - half).__floor__()), (avoided_mg + half).__ceil__()]


def _value(value: Value) -> dict[str, Any]:
    return {**value.trace(), "because": value.because or None}


def _cited(tree: object) -> Iterator[str]:
    """Every reference that a trace names, in its order."""
    if isinstance(tree, Mapping):
        for key, inner in tree.items():
            if key == "references":
                yield from inner
            else:
                yield from _cited(inner)
    elif isinstance(tree, list):
        for inner in tree:
            yield from _cited(inner)


def _reference(book: RuleBook, name: str) -> dict[str, Any]:
    found = book.references.get(name)
    if found is None:
        return {"id": name}
    names = ("id", "title", "publisher", "date", "link", "document", "licence")
    return {one: getattr(found, one) for one in names}
