"""What an act is worth: grams of energy and milligrams of CO2e avoided, with the trace of how.

Arithmetic is exact (integers and fractions, never floating point) and rounds once, at the end, downwards:
energy to whole grams, avoided emissions to whole milligrams, points to whole points. Caps of a day, month or
year need other activities and are not applied here. This module knows nothing of files, accounts or balls;
`telling.describe` puts a trace in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.errors import Rejected
from engine.core.plans import Assessment, Ready, ready_for
from engine.core.rules import BehaviourInForce, RuleBook
from engine.core.sent import NOTHING, Sent, measured, plain, read_attributes, read_instant, read_quantity
from engine.core.telling import describe, recount
from engine.core.values import EVIDENCE, GRADE

__all__ = ["Assessment", "assess", "assessed", "booked_alone_g", "counted_at", "describe", "plain", "recount"]


def assess(
    rules: RuleBook,
    behaviour: str,
    quantity: Decimal,
    unit: str,
    on: date,
    attributes: Mapping[str, object],
    province: str | None,
    evidence: str | None = None,
) -> Assessment:
    """What an act of that day is worth. `evidence`: the kind that the source has; the rule's first, when None.

    Raises Rejected: unknown_behaviour, not_in_force, wrong_unit, unknown_evidence, quantity_out_of_range,
    missing_attribute, bad_attribute.
    """
    return assessed(rules, ready_for(rules, behaviour, on, province), quantity, unit, attributes, evidence)


def assessed(
    rules: RuleBook,
    ready: Ready,
    quantity: Decimal,
    unit: str,
    attributes: Mapping[str, object],
    evidence: str | None,
) -> Assessment:
    """The same, where what counts on the day is at hand already. Raises Rejected, as `assess` does."""
    rule = ready.behaviour
    if unit != rule.unit:
        raise Rejected("wrong_unit", behaviour=rule.id, unit=unit[:64], expected=rule.unit)
    shown = ready.evidence.get(evidence)
    if shown is None:
        kinds = [kind for kind in ready.evidence if kind is not None]
        raise Rejected("unknown_evidence", behaviour=rule.id, evidence=str(evidence)[:64], known=kinds)
    read_quantity(ready.in_force, quantity)
    if attributes or quantity != 1:
        return _worked_out(rules, ready, quantity, attributes, shown)
    one = ready.ones.get(evidence)
    if one is None:
        one = ready.ones[evidence] = _worked_out(rules, ready, quantity, attributes, shown)
    return Assessment(one.energy_g, one.avoided_mg, {**one.trace}, one.points, one.money_minor)


def _worked_out(
    rules: RuleBook,
    ready: Ready,
    quantity: Decimal,
    attributes: Mapping[str, object],
    shown: Mapping[str, str],
) -> Assessment:
    """What an act is worth that is shown by that evidence."""
    in_force = ready.in_force
    sent = NOTHING if not in_force.attributes and not attributes else read_attributes(in_force, attributes)
    trace: dict[str, Any] = {**ready.head, "quantity": plain(quantity), "evidence": shown}
    if sent.shown:
        trace["attributes"] = sent.shown
    if sent.account is not None:
        trace["account"] = sent.account
    if in_force.measures:
        trace["measures"] = _measures(in_force, quantity, sent)
    plan = ready.plan or ready.plan_for(rules, _picks(in_force, shown, sent))
    energy_g = plan.energy.amount(quantity, sent.numbers)
    avoided_mg = plan.avoided.milligrams(quantity, sent)
    trace["energy"] = {**plan.energy.trace, "g": energy_g}
    trace["avoided"] = {**plan.avoided.trace_of(sent), "mg": avoided_mg}
    if plan.points is None:
        return Assessment(energy_g, avoided_mg, trace)
    points, money_minor = plan.points.worth(quantity, sent, avoided_mg)
    trace["points"] = plan.points.trace_of(points, money_minor)
    return Assessment(energy_g, avoided_mg, trace, points, money_minor)


def counted_at(in_force: BehaviourInForce, at: int, attributes: Mapping[str, object]) -> int:
    """The instant (ms) that ripening counts from: the act's own, or the attribute that the rule names.

    Raises Rejected: missing_attribute, bad_attribute.
    """
    name = in_force.ball.counts_from
    if name == "at":
        return at
    if attributes.get(name) is None:
        raise Rejected("missing_attribute", attribute=name)
    return read_instant(name, attributes[name])


def booked_alone_g(in_force: BehaviourInForce, energy_g: int) -> int:
    """What an activity of so many grams books alone in its day, month and year: the gram caps, nothing else."""
    caps = in_force.caps
    return min(grams for grams in (energy_g, caps.day_g, caps.month_g, caps.year_g) if grams is not None)


def _picks(in_force: BehaviourInForce, shown: Mapping[str, str], sent: Sent) -> tuple[str, ...]:
    """What was chosen, for each name that the formulas pick by."""
    return tuple(
        shown["kind"] if name == EVIDENCE else shown["grade"] if name == GRADE else sent.choices[name]
        for name in in_force.picks
    )


def _measures(in_force: BehaviourInForce, quantity: Decimal, sent: Sent) -> dict[str, Any]:
    """Work out the measures, so that formulas find them among the numbers; for the trace."""
    lines: dict[str, Any] = {}
    for measure in in_force.measures:
        number = measured(measure, Fraction(quantity), sent)
        sent.numbers[measure.name] = number
        lines[measure.name] = {**measure.trace(), "is": str(number)}
    return lines
