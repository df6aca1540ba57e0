"""What a user means to report, as the command that a source would send: within the bounds of the rule in force."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_FLOOR, Decimal

from engine.core.commands import ReportActivity
from engine.core.rules import Behaviour, BehaviourInForce
from engine.core.units import rfc3339
from engine.simulate.days import Report
from engine.simulate.people import Person

TENTH = Decimal("0.1")


def command_of(
    report: Report, person: Person, behaviour: Behaviour, rule: BehaviourInForce, at: int, today: date
) -> ReportActivity:
    """The report at an instant. A described act has one source for each category and an id of its own."""
    acted_at = at if report.acted_at is None else report.acted_at
    quantity = _fitted(report.quantity, rule)
    is_total = behaviour.running_total
    on = report.on or today
    return ReportActivity(
        source=report.source or behaviour.category,
        activity=report.name or (f"{person.id}:{behaviour.id}:{on}" if is_total else str(report.number)),
        subject=str(person.id),
        behaviour=behaviour.id,
        quantity=quantity,
        unit=behaviour.unit,
        content=f"{at}:{quantity}",
        at=None if is_total or report.on else acted_at,
        on=on if is_total or report.on else None,
        revision=(report.revision or 1) if is_total else None,
        attributes=_attributes(report, rule, acted_at, person),
        evidence=_evidence(report.evidence, behaviour),
    )


def _evidence(claimed: str | None, behaviour: Behaviour) -> str | None:
    """The claimed kind where this rulebook knows it; else the behaviour's first counts."""
    return claimed if claimed and any(one.kind == claimed for one in behaviour.evidence) else None


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
        quantity = Decimal(int(quantity))
    elif rule.quantity_decimals == 1:
        quantity = quantity.quantize(TENTH, ROUND_FLOOR)
    if quantity < rule.quantity_min:
        return rule.quantity_min
    return rule.quantity_max if quantity > rule.quantity_max else quantity
