"""What a user means to report, as the command that a source would send: within the bounds of the rule in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal

from engine.core.commands import ReportActivity
from engine.core.rules import Behaviour, BehaviourInForce, RuleBook
from engine.core.units import rfc3339
from engine.simulate.days import Report
from engine.simulate.people import Person

TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rulebook asks of reports of a behaviour on a day; `kinds` are those of evidence that it knows."""

    behaviour: Behaviour
    rule: BehaviourInForce
    kinds: frozenset[str]


def asked_on(rules: RuleBook, behaviour: str, on: date) -> Asked | None:
    """What is asked on the day; None where the rulebook has nothing of the behaviour then."""
    known = rules.behaviours.get(behaviour)
    rule = known.on(on) if known else None
    if known is None or rule is None:
        return None
    return Asked(known, rule, frozenset(one.kind for one in known.evidence))


def command_of(report: Report, person: Person, asked: Asked, at: int, today: date) -> ReportActivity:
    """The report at an instant. A described act has one source for each category and an id of its own."""
    behaviour, rule = asked.behaviour, asked.rule
    acted_at = at if report.acted_at is None else report.acted_at
    quantity = _fitted(report.quantity, rule)
    is_total = behaviour.running_total
    on = report.on or today
    return ReportActivity(  # by place: a call with names takes three times as long
        report.source or behaviour.category,
        report.name or (f"{person.id}:{behaviour.id}:{on}" if is_total else str(report.number)),
        str(person.id),
        behaviour.id,
        quantity,
        behaviour.unit,
        f"{at}:{quantity}",  # content
        None if is_total or report.on else acted_at,
        on if is_total or report.on else None,
        (report.revision or 1) if is_total else None,
        _attributes(report, rule, acted_at, person) if rule.attributes else {},
        report.evidence if report.evidence in asked.kinds else None,  # else the first kind counts
    )


def _attributes(report: Report, rule: BehaviourInForce, acted_at: int, person: Person) -> dict[str, object]:
    """What the rule asks for and the report has; instants are the act's own, and so is the user's account."""
    found: dict[str, object] = {}
    for name, attribute in rule.attributes.items():
        is_told = name in report.attributes
        if attribute.kind == "instant":
            if attribute.required or is_told:
                found[name] = rfc3339(acted_at)
        elif attribute.kind == "account":
            account = report.account or (str(person.id) if attribute.required else None)
            if account is not None:
                found[name] = account
        elif is_told:
            found[name] = report.attributes[name]
    return found


def _fitted(quantity: Decimal, rule: BehaviourInForce) -> Decimal:
    """The quantity inside the rule's bounds, and no finer than it allows (two digits are fine enough)."""
    if rule.quantity_decimals == 0:
        quantity = quantity.to_integral_value(ROUND_FLOOR)
    elif rule.quantity_decimals == 1:
        quantity = quantity.quantize(TENTH, ROUND_FLOOR)
    if quantity < rule.quantity_min:
        return rule.quantity_min
    return rule.quantity_max if quantity > rule.quantity_max else quantity
