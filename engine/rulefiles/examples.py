"""Runs the worked examples of a behaviour's file against the rulebook built from it."""

from __future__ import annotations

from decimal import Decimal

from engine.core.errors import Rejected
from engine.core.quantify import assess, booked_alone_g
from engine.core.rules import RuleBook
from engine.rulefiles import models as m
from engine.rulefiles.checks import Finding, Findings


def run_example(book: RuleBook, file: m.BehaviourFile, index: int, example: m.Example) -> Findings:
    """Works one example and tells where the result differs from what it says."""
    path = ("examples", index)
    quantity = Decimal(example.quantity.amount.numerator) / Decimal(example.quantity.amount.denominator)
    unit = example.unit or file.quantity.unit
    try:
        attributes = dict(example.attributes)
        result = assess(
            book, file.id, quantity, unit, example.on, attributes, example.province, example.evidence
        )
    except Rejected as refusal:
        if refusal.code != example.refused:
            wanted = f"the refusal {example.refused}" if example.refused else "results"
            yield Finding(
                path,
                f"the example {example.name!r} is refused: {refusal}",
                wanted,
                "correct the example or the rule",
            )
        return
    if example.refused:
        yield Finding(
            path,
            f"the example {example.name!r} is accepted",
            f"the refusal {example.refused}",
            "correct the example or the rule",
        )
        return
    in_force = book.behaviours[file.id].on(example.on)
    assert in_force is not None
    booked_g = booked_alone_g(in_force, result.energy_g)
    compared = [
        ("energy_g", result.energy_g, example.energy_g),
        ("avoided_mg", result.avoided_mg, example.avoided_mg),
    ]
    if example.booked_g is not None or result.energy_g == example.energy_g:
        wanted_g = example.energy_g if example.booked_g is None else example.booked_g
        compared.append(("booked_g", booked_g, wanted_g))
    if example.points is not None:
        compared.append(("points", result.points or 0, example.points))
    if example.money_minor is not None:
        compared.append(("money_minor", result.money_minor or 0, example.money_minor))
    for key, got, wanted in compared:
        if got != wanted:
            found = f"the example {example.name!r} gives {got:,}"
            yield Finding((*path, key), found, f"{wanted:,}", "correct the example or the rule")
