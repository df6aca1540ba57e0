"""Tells the scenarios of a trace in words: the extent, each line, and where each factor's figure is from."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import prod
from typing import Any

from engine.core.dimensions import dimension
from engine.core.telling_values import Numbers, digits, tell

NAMES = {
    "mode_mix": "the modes that the act replaces, each by its share, minus what happened",
    "per_leg": "baseline minus project for each leg, summed",
    "annualised_stock": "what the thing saves in a year, for the years that are credited once",
}


def tell_scenarios(
    trace: Mapping[str, Any], numbers: Numbers, cited: list[str]
) -> tuple[Fraction, list[str]]:
    """Exact milligrams, worked out again, and the words."""
    avoided = trace["avoided"]
    lines = [f"{avoided['method']}: {NAMES[avoided['method']]}."] if avoided["method"] in NAMES else []
    if "modes" in avoided:
        return _tell_legs(trace, lines, cited)
    extent, line = _tell_extent(trace, numbers, cited)
    rate, told = _tell_sides(avoided, trace, cited)
    own, told_of_own = _tell_own(avoided, trace, numbers, cited)
    return extent * rate + own, [*lines, line, *told, *told_of_own]


def _tell_own(
    avoided: Mapping[str, Any], trace: Mapping[str, Any], numbers: Numbers, cited: list[str]
) -> tuple[Fraction, list[str]]:
    """Milligrams of the lines that count a number of their own, not the extent, and the words."""
    total = Fraction(0)
    lines: list[str] = []
    for side, sign in (("baseline", 1), ("project", -1)):
        for term in (term for term in avoided[side] if "of" in term):
            name, unit = term["of"]["name"], term["of"]["unit"]
            rate, words = _tell_term(term, dimension(unit).scale, trace, cited)
            mine = sign * numbers[name] * rate
            total += mine
            counted = f"{name} {digits(numbers[name])} {unit} × {words}"
            lines.append(f"{side}: {counted} = {digits(mine / 1000)} g.")
    return total * _of_all(avoided), lines


def _of_all(avoided: Mapping[str, Any]) -> Fraction:
    """What all lines are multiplied by: the share of acts that count, and years."""
    values = (avoided[name]["value"] for name in ("share", "years") if name in avoided)
    return prod((Fraction(value) for value in values), start=Fraction(1))


def _tell_legs(trace: Mapping[str, Any], lines: list[str], cited: list[str]) -> tuple[Fraction, list[str]]:
    avoided = trace["avoided"]
    name, unit = avoided["attribute"]["name"], avoided["attribute"]["unit"]
    scale = dimension(unit).scale / dimension(avoided["functional_unit"]).scale
    rates: dict[str, Fraction] = {}
    for mode, sides in avoided["modes"].items():
        rates[mode], told = _tell_sides({**avoided, **sides}, trace, cited)
        lines += [f"by {mode}: {line}" for line in told]
    total = Fraction(0)
    for mode, length in trace["attributes"][name]:
        leg = Fraction(length) * scale * rates[mode]
        total += leg
        lines.append(f"leg of {length} {unit} by {mode}: {digits(leg / 1000)} g.")
    return total, lines


def _tell_sides(
    avoided: Mapping[str, Any], trace: Mapping[str, Any], cited: list[str]
) -> tuple[Fraction, list[str]]:
    """Milligrams for each functional unit, from the lines of both scenarios, and the words."""
    unit = avoided["functional_unit"]
    yearly = " and year" if "years" in avoided else ""
    lines: list[str] = []
    total = Fraction(0)
    for side, sign in (("baseline", 1), ("project", -1)):
        for term in (term for term in avoided[side] if "of" not in term):
            rate, words = _tell_term(term, dimension(unit).scale, trace, cited)
            total += sign * rate
            lines.append(f"{side}: {words} = {digits(rate / 1000)} g for each {unit}{yearly}.")
    if len(lines) > 1:
        lines.append(f"baseline minus project: {digits(total / 1000)} g for each {unit}{yearly}.")
    if "share" in avoided:
        lines.append(f"of these acts a share of {tell(avoided['share'], cited)} replaces the baseline.")
    total *= _of_all(avoided)
    if "years" in avoided:
        lines.append(
            f"credited once, for {tell(avoided['years'], cited)}: {digits(total / 1000)} g for each {unit}."
        )
    return total, lines


def _tell_extent(trace: Mapping[str, Any], numbers: Numbers, cited: list[str]) -> tuple[Fraction, str]:
    """The extent in functional units, and how it came about."""
    avoided = trace["avoided"]
    unit = avoided["functional_unit"]
    scale = dimension(unit).scale
    attribute = avoided.get("attribute")
    if attribute and attribute["name"] in numbers:
        extent = numbers[attribute["name"]] * dimension(attribute["unit"]).scale / scale
        how = "was measured" if attribute["name"] in trace.get("measures", {}) else "was reported"
        return extent, f"{attribute['name']} {how}: {digits(extent)} {unit}."
    extent = Fraction(trace["quantity"]) * dimension(trace["unit"]).scale / scale
    if "per_unit" not in avoided:
        return extent, f"{digits(extent)} {unit}."
    per_unit = avoided["per_unit"]
    extent *= Fraction(per_unit["value"]) * dimension(per_unit["unit"]).scale
    words = f"{trace['quantity']} {trace['unit']} × {tell(per_unit, cited)} = {digits(extent)} {unit}."
    return extent, words


def _tell_term(
    term: Mapping[str, Any], scale: Fraction, trace: Mapping[str, Any], cited: list[str]
) -> tuple[Fraction, str]:
    """A scenario's line: milligrams for each unit of so many base units, and the words."""
    if "factor" in term:
        rate, words = _tell_factor(term, trace, cited)
        rate *= scale
    else:
        rate, words = Fraction(0), "nothing emitted within the boundary"
    if "picked" in term:
        words = f"{words} (chosen by {term['picked'][0]} {term['picked'][1]})"
    if "amount" in term:
        rate *= Fraction(term["amount"]["value"]) * dimension(term["amount"]["unit"]).scale
        words = f"{tell(term['amount'], cited)} × {words}"
    if "share" in term:
        rate *= Fraction(term["share"]["value"])
        words = f"a share of {tell(term['share'], cited)} of {words}"
    return rate, f"{term['mode']}: {words}" if "mode" in term else words


def _tell_factor(line: Mapping[str, Any], trace: Mapping[str, Any], cited: list[str]) -> tuple[Fraction, str]:
    """A factor in milligrams for one base unit, and the words."""
    if "made_of" in line:
        total = Fraction(0)
        words = []
        for part in line["made_of"]:
            rate, inner = _tell_factor(part, trace, cited)
            total += rate * Fraction(part["amount"]["value"]) * dimension(part["amount"]["unit"]).scale
            words.append(f"{tell(part['amount'], cited)} × {inner}")
        return total, f"{line['factor']} (" + " + ".join(words) + ")"
    figure = {name: value for name, value in line.items() if name != "picked"}
    rate = Fraction(line["value"]) * dimension(line["unit"]).scale
    return rate, f"{line['factor']} {tell(figure, cited)} of {_tell_place(line, trace)}"


def _tell_place(line: Mapping[str, Any], trace: Mapping[str, Any]) -> str:
    """Which figure was taken, and why not one of the user's province and the act's year."""
    place = f"{line['region']} {line['year']}"
    if line["match"] == "fallback":
        place += f", the stated fallback: none for {trace['province'] or 'an unknown province'}"
    elif line["match"] == "country" and "-" in (trace["province"] or ""):
        place += f", the country's: none for {trace['province']}"
    years_off = int(line["year"]) - int(trace["on"][:4])
    if years_off:
        many = f"{abs(years_off)} year{'s' if abs(years_off) > 1 else ''}"
        place += f", not of {trace['on'][:4]}: {many} {'later' if years_off > 0 else 'earlier'}"
    return place
