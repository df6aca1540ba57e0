"""What a source reported, read against the rule in force: a quantity and attributes, all within their bounds.

Nothing is accepted that the rule does not name. This module knows nothing of formulas.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.errors import Rejected
from engine.core.formulas import Attribute, Measure
from engine.core.rules import BehaviourInForce
from engine.core.units import instant

FINEST_EXPONENT = -12  # no quantity is finer than this, whatever a behaviour allows
LARGEST_EXPONENT = 15  # nor larger, where a rule names no most
TEXT_CHARACTERS_MAX = 40
LIST_CHARACTERS_MAX = 200  # as on the wire
ACCOUNT = "account"  # the only name that an attribute of that kind has


@dataclass(slots=True)
class Sent:
    """The attributes of one activity.

    `numbers` holds number attributes and measures; `shown` is what the trace keeps of the attributes.
    """

    numbers: dict[str, Decimal | Fraction] = field(default_factory=dict)
    lists: dict[str, tuple[Decimal, ...]] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    legs: dict[str, tuple[tuple[str, Decimal], ...]] = field(default_factory=dict)
    account: str | None = None
    shown: dict[str, Any] = field(default_factory=dict)


NOTHING = Sent()
_WHOLE = Decimal(1)  # written without decimals


def read_quantity(in_force: BehaviourInForce, quantity: Decimal) -> None:
    """Raises Rejected(quantity_out_of_range) unless the rule accepts the quantity."""
    low, high, decimals = in_force.quantity_min, in_force.quantity_max, in_force.quantity_decimals
    if not _fits(quantity, low, high, decimals):
        raise Rejected(
            "quantity_out_of_range",
            quantity=str(quantity)[:TEXT_CHARACTERS_MAX],
            min=plain(low),
            max=plain(high),
            decimals=decimals,
        )


def read_attributes(in_force: BehaviourInForce, attributes: Mapping[str, object]) -> Sent:
    """The attributes sent; all are checked. Raises Rejected: missing_attribute, bad_attribute."""
    for name in attributes:
        if name not in in_force.attributes:
            raise Rejected(
                "bad_attribute", attribute=name[:64], reason="unknown", known=sorted(in_force.attributes)
            )
    if not in_force.attributes:
        return NOTHING
    sent = Sent()
    for name, attribute in in_force.attributes.items():
        found = attributes.get(name)
        if found is not None:
            _read(attribute, found, sent)
        elif attribute.required:
            raise Rejected("missing_attribute", attribute=name)
        elif attribute.default is not None:
            sent.choices[name] = attribute.default
            sent.shown[name] = attribute.default
    return sent


def read_instant(name: str, found: object) -> int:
    """The instant (ms) that an attribute names. Raises Rejected(bad_attribute)."""
    if isinstance(found, str) and len(found) <= TEXT_CHARACTERS_MAX:
        try:
            return instant(found)
        except (ValueError, OverflowError):
            pass
    raise _bad(name, found, reason="not_an_instant")


def account_key(found: object) -> str | None:
    """A short digest of an account number, so that no cap or trace holds the number; None for no text."""
    if not isinstance(found, str) or not found.strip() or len(found) > LIST_CHARACTERS_MAX:
        return None
    return hashlib.blake2b(found.strip().encode(), digest_size=8).hexdigest()


def measured(measure: Measure, quantity: Fraction, sent: Sent) -> Fraction:
    """A measure of one activity, such as the kWh saved against the mean of earlier months."""
    earlier = sent.lists.get(measure.of) or (sent.numbers[measure.of],)
    least_pct = None if measure.least_pct is None else measure.least_pct.amount
    norm = None
    if measure.norm is not None:
        times = sent.numbers[measure.norm_times] if measure.norm_times else 1
        norm = measure.norm.amount * Fraction(times)
    return below_mean(quantity, [Fraction(one) for one in earlier], measure.gives, least_pct, norm)


def below_mean(
    quantity: Fraction,
    earlier: list[Fraction],
    gives: str,
    least_pct: Fraction | None,
    norm: Fraction | None = None,
) -> Fraction:
    """How far a quantity lies below the mean of earlier ones, as an amount or in per cent of the mean.

    With a norm that counts for all, such as a city's: below that where it does lie below it, else below its own mean.
    """
    mean = norm if norm is not None and quantity < norm else sum(earlier, Fraction(0)) / len(earlier)
    if quantity >= mean:
        return Fraction(0)
    per_cent = (mean - quantity) / mean * 100
    if least_pct is not None and per_cent < least_pct:
        return Fraction(0)
    return per_cent if gives == "per_cent" else mean - quantity


def plain(number: Decimal) -> str:
    """A decimal as plain digits: no exponent, no trailing zeros."""
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


# --- one attribute ----------------------------------------------------------------------------------


def _read(attribute: Attribute, found: object, sent: Sent) -> None:
    name, kind = attribute.name, attribute.kind
    if kind == "number":
        sent.numbers[name] = number = _number(attribute, found, found)
        sent.shown[name] = plain(number)
    elif kind == "instant":
        read_instant(name, found)
    elif kind == "choice":
        sent.choices[name] = sent.shown[name] = _choice(attribute, found)
    elif kind == "numbers":
        numbers = tuple(_number(attribute, one, found) for one in _items(attribute, found))
        sent.lists[name] = numbers
        sent.shown[name] = [plain(number) for number in numbers]
    elif kind == "legs":
        legs = tuple(_leg(attribute, one, found) for one in _items(attribute, found))
        sent.legs[name] = legs
        sent.shown[name] = [[mode, plain(number)] for mode, number in legs]
    else:
        sent.account = account_key(found)
        if sent.account is None:
            raise _bad(name, found, reason="not_an_account")


def _items(attribute: Attribute, found: object) -> list[str]:
    """The parts of a text that lists several, by spaces, commas or semicolons."""
    text = str(found) if isinstance(found, int | float | Decimal) and not isinstance(found, bool) else found
    if not isinstance(text, str) or len(text) > LIST_CHARACTERS_MAX:
        raise _bad(attribute.name, found, reason="not_a_list")
    items = text.replace(",", " ").replace(";", " ").split()
    if not 1 <= len(items) <= attribute.most:
        raise _bad(attribute.name, found, reason="count", min=1, max=attribute.most)
    return items


def _leg(attribute: Attribute, text: str, found: object) -> tuple[str, Decimal]:
    mode, _, amount = text.partition(":")
    if mode not in attribute.choices:
        raise _bad(attribute.name, found, reason="unknown_mode", known=sorted(attribute.choices))
    return mode, _number(attribute, amount, found)


def _choice(attribute: Attribute, found: object) -> str:
    text = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
    if not isinstance(text, str) or text not in attribute.choices:
        raise _bad(attribute.name, found, reason="unknown_choice", known=sorted(attribute.choices))
    return text


def _number(attribute: Attribute, written: object, found: object) -> Decimal:
    number = _decimal(written)
    low, high = attribute.low, attribute.high
    if number is None or not _fits(number, low, high, attribute.decimals):
        raise _bad(
            attribute.name,
            found,
            min=None if low is None else plain(low),
            max=None if high is None else plain(high),
            decimals=attribute.decimals,
        )
    return number


def _fits(number: Decimal, low: Decimal | None, high: Decimal | None, decimals: int) -> bool:
    """Whether the number is finite, within the bounds and not too fine."""
    if not number.is_finite() or number.adjusted() > LARGEST_EXPONENT:
        return False
    if (low is not None and number < low) or (high is not None and number > high):
        return False
    if number.same_quantum(_WHOLE):
        return True
    exponent = number.as_tuple().exponent
    if exponent >= -decimals:  # type: ignore[operator]  (finite, so a number)
        return True
    if exponent < FINEST_EXPONENT:  # type: ignore[operator]
        return False
    return 10**decimals % number.as_integer_ratio()[1] == 0


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


def _bad(name: str, found: object, **fields: object) -> Rejected:
    return Rejected("bad_attribute", attribute=name, value=str(found)[:TEXT_CHARACTERS_MAX], **fields)
