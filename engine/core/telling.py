"""Tells a trace in words, step by step, working it out again from the values that the trace keeps."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from engine.core.dimensions import dimension
from engine.core.rules import RuleBook


def describe(trace: Mapping[str, Any], rules: RuleBook, in_force: str | None = None) -> list[str]:
    """The calculation in words, step by step, worked out again from the values that the trace keeps.

    `rules` gives names and the text of references only, so an old trace is told truly under a newer rulebook;
    `in_force` is the hash of the rulebook that is in force now, where that is another.
    """
    rule = rules.behaviours.get(trace["behaviour"])
    name = rule.names["en"] if rule else trace["behaviour"]
    is_now = trace["rules"] == (in_force or rules.hash)
    same = "the rulebook now in force" if is_now else "an earlier rulebook or a canary's"
    act = f"{name}, {trace['quantity']} {trace['unit']} on {trace['on']}{_place(trace)}"
    lines = [f"{act}, by {same} ({trace['rules'][:12]})."]
    cited: list[str] = []
    energy_g, told = _tell_energy(trace, cited)
    lines += [f"Energy: {line}" for line in told]
    avoided_mg, told = _tell_avoided(trace, cited)
    lines += [f"Avoided emissions: {line}" for line in told]
    if (energy_g, avoided_mg) != (trace["energy"]["g"], trace["avoided"]["mg"]):
        lines.append("This does not agree with the result that the trace states.")
    lines += [f"[{reference}] {_cite(rules, reference)}" for reference in dict.fromkeys(cited)]
    return lines


def recount(trace: Mapping[str, Any]) -> tuple[int, int]:
    """Grams of energy and milligrams avoided, worked out again from the trace alone."""
    return _tell_energy(trace, [])[0], _tell_avoided(trace, [])[0]


def _place(trace: Mapping[str, Any]) -> str:
    sent = ", ".join(f"{name} {value}" for name, value in trace.get("attributes", {}).items())
    where = f" in {trace['province']}" if trace.get("province") else ""
    return where + (f" ({sent})" if sent else "")


def _tell_energy(trace: Mapping[str, Any], cited: list[str]) -> tuple[int, list[str]]:
    energy = trace["energy"]
    method = energy["method"]
    if method == "none":
        return 0, [f"none. {energy['reason']}"]
    if method == "constant_per_event":
        exact = Fraction(energy["grams"]["value"])
        lines = [f"{_tell(energy['grams'], cited)} for the activity, whatever its quantity."]
    elif method == "factor_times_quantity":
        exact = Fraction(trace["quantity"]) * Fraction(energy["grams_per_unit"]["value"])
        ratio = _tell(energy["grams_per_unit"], cited)
        lines = [f"{trace['quantity']} {trace['unit']} × {ratio} = {digits(exact)} g."]
    else:
        exact, line = _tell_steps(trace, cited)
        lines = [line]
    grams = exact.__floor__()
    if exact.denominator != 1:
        lines.append(f"rounded down to {grams:,} g.")
    if "event_cap" in energy and grams > Fraction(energy["event_cap"]["value"]):
        grams = Fraction(energy["event_cap"]["value"]).__floor__()
        lines.append(f"cut to the cap of one activity, {_tell(energy['event_cap'], cited)}.")
    return grams, [*lines, f"result {energy['g']:,} g, before the caps of the day and month."]


def _tell_steps(trace: Mapping[str, Any], cited: list[str]) -> tuple[Fraction, str]:
    energy = trace["energy"]
    cited.extend(energy["references"])
    quantity = Fraction(trace["quantity"])
    reached = [(start, grams) for start, grams in energy["steps"] if Fraction(start) <= quantity]
    cites = "".join(f" [{reference}]" for reference in energy["references"])
    about = f"({energy['confidence']}, from {energy['from']}{cites})"
    if not reached:
        return Fraction(0), f"below the first step of the table {about}: nothing."
    start, grams = reached[-1]
    return Fraction(grams), f"the step from {start} {trace['unit']} gives {grams} g {about}."


def _tell_avoided(trace: Mapping[str, Any], cited: list[str]) -> tuple[int, list[str]]:
    avoided = trace["avoided"]
    if avoided["method"] == "none":
        return 0, [f"none. {avoided['reason']}"]
    if avoided["method"] == "constant_per_event":
        exact = Fraction(avoided["grams"]["value"]) * 1000
        lines = [f"{_tell(avoided['grams'], cited)} for the activity, whatever its quantity."]
    else:
        exact, lines = _tell_scenarios(trace, cited)
    milligrams = max(0, exact.__floor__())
    if exact < 0:
        lines.append("the project emits more than the baseline: nothing is credited.")
    lines.append(
        f"{digits(exact)} mg, rounded down: result {avoided['mg']:,} mg CO2e{_give_or_take(avoided)}."
    )
    return milligrams, lines


def _tell_scenarios(trace: Mapping[str, Any], cited: list[str]) -> tuple[Fraction, list[str]]:
    avoided = trace["avoided"]
    extent, line = _tell_extent(trace, cited)
    lines = [line]
    total = Fraction(0)
    for side, sign in (("baseline", 1), ("project", -1)):
        for term in avoided[side]:
            rate, words = _tell_term(term, trace, cited)
            total += sign * rate
            lines.append(f"{side}: {words} = {digits(rate / 1000)} g for each {avoided['functional_unit']}.")
    if len(avoided["baseline"]) + len(avoided["project"]) > 1:
        lines.append(
            f"baseline minus project: {digits(total / 1000)} g for each {avoided['functional_unit']}."
        )
    if "share" in avoided:
        total *= Fraction(avoided["share"]["value"])
        lines.append(f"of these acts a share of {_tell(avoided['share'], cited)} replaces the baseline.")
    return extent * total, lines


def _give_or_take(avoided: Mapping[str, Any]) -> str:
    return f", give or take {avoided['uncertainty_pct']} %" if "uncertainty_pct" in avoided else ""


def _tell_extent(trace: Mapping[str, Any], cited: list[str]) -> tuple[Fraction, str]:
    """The extent in functional units, and how it came about."""
    avoided = trace["avoided"]
    unit = avoided["functional_unit"]
    scale = dimension(unit).scale
    attribute = avoided.get("attribute")
    if attribute and attribute["name"] in trace.get("attributes", {}):
        sent = trace["attributes"][attribute["name"]]
        extent = Fraction(sent) * dimension(attribute["unit"]).scale / scale
        return extent, f"{attribute['name']} was reported: {digits(extent)} {unit}."
    extent = Fraction(trace["quantity"]) * dimension(trace["unit"]).scale / scale
    if "per_unit" not in avoided:
        return extent, f"{digits(extent)} {unit}."
    per_unit = avoided["per_unit"]
    extent *= Fraction(per_unit["value"]) * dimension(per_unit["unit"]).scale
    return (
        extent,
        f"{trace['quantity']} {trace['unit']} × {_tell(per_unit, cited)} = {digits(extent)} {unit}.",
    )


def _tell_term(term: Mapping[str, Any], trace: Mapping[str, Any], cited: list[str]) -> tuple[Fraction, str]:
    """A scenario's line: milligrams for each functional unit, and the words."""
    rate, words = _tell_factor(term, trace, cited)
    rate *= dimension(trace["avoided"]["functional_unit"]).scale
    if "amount" in term:
        rate *= Fraction(term["amount"]["value"]) * dimension(term["amount"]["unit"]).scale
        words = f"{_tell(term['amount'], cited)} × {words}"
    return rate, words


def _tell_factor(line: Mapping[str, Any], trace: Mapping[str, Any], cited: list[str]) -> tuple[Fraction, str]:
    """A factor in milligrams for one base unit, and the words."""
    if "made_of" in line:
        total = Fraction(0)
        words = []
        for part in line["made_of"]:
            rate, inner = _tell_factor(part, trace, cited)
            total += rate * Fraction(part["amount"]["value"]) * dimension(part["amount"]["unit"]).scale
            words.append(f"{_tell(part['amount'], cited)} × {inner}")
        return total, f"{line['factor']} (" + " + ".join(words) + ")"
    place = f"{line['region']} {line['year']}"
    if line["match"] == "fallback":
        place += f", the stated fallback: none for {trace['province'] or 'an unknown province'}"
    elif line["match"] == "country" and "-" in (trace["province"] or ""):
        place += f", the country's: none for {trace['province']}"
    if str(line["year"]) != trace["on"][:4]:
        place += f", not of {trace['on'][:4]}"
    return Fraction(line["value"]) * dimension(
        line["unit"]
    ).scale, f"{line['factor']} {_tell(line, cited)} of {place}"


def _tell(value: Mapping[str, Any], cited: list[str]) -> str:
    cited.extend(value["references"])
    cites = "".join(f" [{reference}]" for reference in value["references"])
    unit = "" if value["unit"] == "1" else f" {value['unit']}"
    return f"{value['value']}{unit} ({value['confidence']}, from {value['from']}{cites})"


def _cite(rules: RuleBook, reference: str) -> str:
    found = rules.references.get(reference)
    if found is None:
        return "a reference of an earlier rulebook."
    where = found.link or found.document or ""
    return f"{found.title}. {found.publisher}, {found.date}. {where}".rstrip()


def digits(amount: Fraction) -> str:
    """A fraction in digits, cut after six decimals (with … when it goes on)."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), 1)
    cut = (rest * 10**6).__floor__()
    text = f"{whole:,}" + (f".{cut:06d}".rstrip("0") if cut else "")
    return sign + text + ("…" if Fraction(cut, 10**6) != rest else "")
