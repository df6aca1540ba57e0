"""What an act is worth: grams of energy and milligrams of CO2e avoided, with the trace of how.

Arithmetic is exact (integers and fractions, never floating point) and rounds once, at the end, downwards:
energy to whole grams, avoided emissions to whole milligrams. Caps of a day or month need other activities
and are not applied here. This module knows nothing of files, accounts or balls; `telling.describe` puts a
trace in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.errors import Rejected
from engine.core.plans import plan_for
from engine.core.rules import Attribute, BehaviourInForce, RuleBook, Value
from engine.core.telling import describe, recount
from engine.core.units import instant

__all__ = ["Assessment", "assess", "booked_alone_g", "counted_at", "describe", "plain", "recount"]

TRACE_VERSION = 1
FINEST_EXPONENT = -12  # no quantity is finer than this, whatever a behaviour allows
TEXT_CHARACTERS_MAX = 40


@dataclass(slots=True)
class Assessment:
    """What one activity is worth before the caps of its day and month.

    energy_g: grams of energy after the cap for one activity; avoided_mg: milligrams CO2e; trace: JSON-able,
    for `describe`. Parts of the trace are shared between assessments: read it, don't change it.
    """

    energy_g: int
    avoided_mg: int
    trace: dict[str, Any]


def assess(
    rules: RuleBook,
    behaviour: str,
    quantity: Decimal,
    unit: str,
    on: date,
    attributes: Mapping[str, object],
    province: str | None,
) -> Assessment:
    """What an act of that day is worth.

    Raises Rejected: unknown_behaviour, not_in_force, wrong_unit, quantity_out_of_range, missing_attribute,
    bad_attribute.
    """
    rule = rules.behaviours.get(behaviour)
    if rule is None:
        raise Rejected("unknown_behaviour", behaviour=behaviour[:64])
    in_force = rule.on(on)
    if in_force is None:
        raise Rejected("not_in_force", behaviour=behaviour, on=on.isoformat())
    if unit != rule.unit:
        raise Rejected("wrong_unit", behaviour=behaviour, unit=unit[:64], expected=rule.unit)
    amount = _quantity(in_force, quantity)
    sent = _attributes(in_force, attributes)
    plan = plan_for(rules, rule, in_force, province)
    energy_g = plan.energy.grams(amount)
    avoided_mg = plan.avoided.milligrams(amount, sent)
    trace: dict[str, Any] = {
        "v": TRACE_VERSION,
        "rules": rules.hash,
        "behaviour": behaviour,
        "on": on.isoformat(),
        "quantity": plain(quantity),
        "unit": unit,
        "province": province,
        "energy": {**plan.energy.trace, "g": energy_g},
        "avoided": {**plan.avoided.trace, "mg": avoided_mg},
    }
    if sent:
        trace["attributes"] = {name: plain(number) for name, number in sent.items()}
    return Assessment(energy_g, avoided_mg, trace)


def counted_at(in_force: BehaviourInForce, at: int, attributes: Mapping[str, object]) -> int:
    """The instant (ms) that ripening counts from: the act's own, or the attribute that the rule names.

    Raises Rejected: missing_attribute, bad_attribute.
    """
    name = in_force.ball.counts_from
    if name == "at":
        return at
    if attributes.get(name) is None:
        raise Rejected("missing_attribute", attribute=name)
    return _instant(name, attributes[name])


def booked_alone_g(in_force: BehaviourInForce, energy_g: int) -> int:
    """What an activity of so many grams books alone in its day and month: the gram caps, nothing else."""
    caps = in_force.caps
    return min(grams for grams in (energy_g, caps.day_g, caps.month_g) if grams is not None)


def plain(number: Decimal) -> str:
    """A decimal as plain digits: no exponent, no trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


# --- what was reported ------------------------------------------------------------------------------


def _quantity(in_force: BehaviourInForce, quantity: Decimal) -> Fraction:
    low, high, decimals = in_force.quantity_min, in_force.quantity_max, in_force.quantity_decimals
    amount = _bounded(quantity, low, high, decimals)
    if amount is None:
        fields = {
            "quantity": str(quantity)[:TEXT_CHARACTERS_MAX],
            "min": plain(low),
            "max": plain(high),
            "decimals": decimals,
        }
        raise Rejected("quantity_out_of_range", **fields)
    return amount


def _bounded(number: Decimal, low: Decimal | None, high: Decimal | None, decimals: int) -> Fraction | None:
    """The number as a fraction; None when it is not finite, out of bounds or too fine."""
    if not number.is_finite():
        return None
    if (low is not None and number < low) or (high is not None and number > high):
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < FINEST_EXPONENT:
        return None
    amount = Fraction(number)
    if exponent >= -decimals:  # most are written no finer than that
        return amount
    return amount if (amount * 10**decimals).denominator == 1 else None


def _attributes(in_force: BehaviourInForce, attributes: Mapping[str, object]) -> dict[str, Decimal]:
    """The number attributes sent; all are checked, and none is accepted that the rule does not name."""
    for name in attributes:
        if name not in in_force.attributes:
            raise Rejected(
                "bad_attribute", attribute=name[:64], reason="unknown", known=sorted(in_force.attributes)
            )
    numbers: dict[str, Decimal] = {}
    for name, attribute in in_force.attributes.items():
        found = attributes.get(name)
        if found is None:
            if attribute.required:
                raise Rejected("missing_attribute", attribute=name)
        elif attribute.kind == "instant":
            _instant(name, found)
        else:
            numbers[name] = _number(attribute, found)
    return numbers


def _number(attribute: Attribute, found: object) -> Decimal:
    number = _decimal(found)
    low = _limit(attribute.low)
    high = _limit(attribute.high)
    if number is None or _bounded(number, low, high, attribute.decimals) is None:
        bounds = {
            "min": None if low is None else plain(low),
            "max": None if high is None else plain(high),
            "decimals": attribute.decimals,
        }
        raise Rejected(
            "bad_attribute", attribute=attribute.name, value=str(found)[:TEXT_CHARACTERS_MAX], **bounds
        )
    return number


def _decimal(found: object) -> Decimal | None:
    """A number as sent; a float (a JSON number that was already decoded) is taken as its shortest writing."""
    if isinstance(found, Decimal):
        return found
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    text = repr(found) if isinstance(found, int | float) else found
    try:
        return Decimal(text) if len(text) <= TEXT_CHARACTERS_MAX else None
    except ArithmeticError:
        return None


def _limit(value: Value | None) -> Decimal | None:
    return None if value is None else Decimal(value.text)


def _instant(name: str, found: object) -> int:
    if isinstance(found, str) and len(found) <= TEXT_CHARACTERS_MAX:
        try:
            return instant(found)
        except (ValueError, OverflowError):
            pass
    raise Rejected(
        "bad_attribute", attribute=name, value=str(found)[:TEXT_CHARACTERS_MAX], reason="not_an_instant"
    )
