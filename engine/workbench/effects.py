"""What a change of rules means for a typical act: the examples of both rulebooks, worked out under each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from engine.core.errors import Rejected
from engine.core.quantify import assess, booked_alone_g
from engine.core.rules import Behaviour, BehaviourInForce, RuleBook
from engine.rulebook import Files
from engine.rulefiles import models as m
from engine.workbench.difference import Comparison

DAYS_OF_A_MONTH = 30
REGIONS_TRIED_MAX = 50
DAYS_TOLD_MAX = 24  # of one behaviour; a rulebook with more days of change is told by its first ones


@dataclass(frozen=True, slots=True)
class TypicalAct:
    """An act as an example of a behaviour's file has it."""

    name: str
    quantity: Decimal
    unit: str
    province: str | None
    attributes: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class Worth:
    """What an act is worth under one rulebook on a day, or why it is refused.

    month_most_g: most that 30 days of such acts can give before the gram and count caps stop it; None: no such cap.
    """

    refused: str | None = None
    energy_g: int = 0
    booked_g: int = 0
    avoided_mg: int = 0
    month_most_g: int | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """An act that is worth something else from a day on."""

    behaviour: str
    on: date
    act: TypicalAct
    before: Worth
    after: Worth


def effects(before: Files, after: Files, comparison: Comparison) -> Iterator[Effect]:
    """Each typical act whose worth changes, on each day from which it does."""
    factor_days = {change.from_on for change in comparison.changes if change.thing == "factor"}
    for name in before.book.behaviours.keys() & after.book.behaviours.keys():
        own_days = {
            change.from_on
            for change in comparison.changes
            if change.thing == "behaviour" and change.id == name and change.kind == "value"
        }
        days = own_days | factor_days
        if factor_days:  # a figure may begin to count for acts of a later day than that of its first use
            sides = (files.book.behaviours[name].history.days for files in (before, after))
            days |= {day for side in sides for day in side if day >= min(factor_days)}
        for act in _acts(before, after, name, _regions(comparison)):
            yield from _along(before.book, after.book, name, act, sorted(days)[:DAYS_TOLD_MAX])


def _along(one: RuleBook, other: RuleBook, name: str, act: TypicalAct, days: list[date]) -> Iterator[Effect]:
    told: tuple[Worth, Worth] | None = None
    for day in days:
        pair = (worth(one, name, act, day), worth(other, name, act, day))
        if pair[0] != pair[1] and pair != told:
            yield Effect(name, day, act, *pair)
        told = pair


def _regions(comparison: Comparison) -> list[str]:
    """The regions whose figures change, so that a change of one province shows although no example lies in it."""
    found = {
        change.path.split(".")[1]
        for change in comparison.changes
        if change.thing == "factor" and change.kind == "value" and change.path.startswith("by_region.")
    }
    return sorted(found)[:REGIONS_TRIED_MAX]


def _acts(before: Files, after: Files, behaviour: str, regions: list[str]) -> list[TypicalAct]:
    """The acts of both files' examples that are accepted, the newer file's first, each once; the first one also in
    each of the regions.
    """
    found: dict[tuple[Any, ...], TypicalAct] = {}
    for files in (after, before):
        for file in files.models.values():
            if isinstance(file, m.BehaviourFile) and file.id == behaviour:
                for example in file.examples:
                    act = typical_act(file, example)
                    if example.refused is None:
                        found.setdefault(_what(act), act)
    first = next(iter(found.values()), None)
    for region in regions if first is not None else ():
        act = replace(first, province=region)
        found.setdefault(_what(act), act)
    return list(found.values())


def _what(act: TypicalAct) -> tuple[Any, ...]:
    return act.quantity, act.unit, act.province, act.attributes


def typical_act(file: m.BehaviourFile, example: m.Example) -> TypicalAct:
    """An example as an act."""
    exact = example.quantity.amount
    quantity = Decimal(exact.numerator) / Decimal(exact.denominator)
    unit = example.unit or file.quantity.unit
    return TypicalAct(
        example.name, quantity, unit, example.province, tuple(sorted(example.attributes.items()))
    )


def worth(book: RuleBook, behaviour: str, act: TypicalAct, on: date) -> Worth:
    """What the act is worth under a rulebook on a day."""
    attributes: Mapping[str, object] = dict(act.attributes)
    try:
        result = assess(book, behaviour, act.quantity, act.unit, on, attributes, act.province)
    except Rejected as refusal:
        return Worth(refused=refusal.code)
    rule = book.behaviours[behaviour]
    in_force = rule.on(on)
    assert in_force is not None
    most = month_most_g(rule, in_force, result.energy_g)
    return Worth(None, result.energy_g, booked_alone_g(in_force, result.energy_g), result.avoided_mg, most)


def month_most_g(rule: Behaviour, in_force: BehaviourInForce, energy_g: int) -> int | None:
    """The most that 30 days of such acts give: a running total is one act a day. None: nothing stops it."""
    caps = in_force.caps
    by_count = 1 if rule.running_total else caps.day_count
    of_day = [energy_g * by_count if by_count is not None else None, caps.day_g]
    day_g = min((grams for grams in of_day if grams is not None), default=None)
    of_month = [
        day_g * DAYS_OF_A_MONTH if day_g is not None else None,
        energy_g * caps.month_count if caps.month_count is not None else None,
        caps.month_g,
    ]
    return min((grams for grams in of_month if grams is not None), default=None)
