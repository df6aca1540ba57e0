"""Tells a trace in words, step by step, working it out again from the values that the trace keeps."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from engine.core.formulas import AVOIDED_G
from engine.core.rules import RuleBook
from engine.core.sent import below_mean
from engine.core.telling_scenarios import tell_scenarios
from engine.core.telling_values import Numbers, cites_of, digits, tell


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
    if "evidence" in trace:
        lines.append(f"Evidence: {trace['evidence']['kind']}, grade {trace['evidence']['grade']}.")
    cited: list[str] = []
    numbers, told = _tell_measures(trace, cited)
    lines += [f"Measured: {line}" for line in told]
    energy_g, told = _tell_energy(trace, numbers, cited)
    lines += [f"Energy: {line}" for line in told]
    avoided_mg, told = _tell_avoided(trace, numbers, cited)
    lines += [f"Avoided emissions: {line}" for line in told]
    agrees = (energy_g, avoided_mg) == (trace["energy"]["g"], trace["avoided"]["mg"])
    if "points" in trace:
        total, money_minor, told = _tell_points(trace, numbers, avoided_mg, cited)
        lines += [f"{trace['points']['names']['en']}: {line}" for line in told]
        agrees &= (total, money_minor) == (trace["points"]["total"], trace["points"].get("money_minor"))
    if not agrees:
        lines.append("This does not agree with the result that the trace states.")
    lines += [f"[{reference}] {_cite(rules, reference)}" for reference in dict.fromkeys(cited)]
    return lines


def recount(trace: Mapping[str, Any]) -> tuple[int, int]:
    """Grams of energy and milligrams avoided, worked out again from the trace alone."""
    numbers, _ = _tell_measures(trace, [])
    return _tell_energy(trace, numbers, [])[0], _tell_avoided(trace, numbers, [])[0]


def recount_points(trace: Mapping[str, Any]) -> tuple[int, int | None]:
    """Points and minor units of money, worked out again from the trace alone."""
    numbers, _ = _tell_measures(trace, [])
    total, money_minor, _ = _tell_points(trace, numbers, trace["avoided"]["mg"], [])
    return total, money_minor


def _place(trace: Mapping[str, Any]) -> str:
    sent = ", ".join(f"{name} {_plain(value)}" for name, value in trace.get("attributes", {}).items())
    where = f" in {trace['province']}" if trace.get("province") else ""
    return where + (f" ({sent})" if sent else "")


def _plain(value: Any) -> str:
    """What was sent as it is written: a text, several numbers, or legs."""
    if isinstance(value, str):
        return value
    return " ".join(one if isinstance(one, str) else ":".join(one) for one in value)


# --- numbers that formulas use ----------------------------------------------------------------------


def _tell_measures(trace: Mapping[str, Any], cited: list[str]) -> tuple[Numbers, list[str]]:
    """The quantity (under None), the number attributes and the measures, worked out again."""
    sent = trace.get("attributes", {})
    numbers: Numbers = {None: Fraction(trace["quantity"])}
    numbers |= {name: Fraction(value) for name, value in sent.items() if _is_number(value)}
    lines: list[str] = []
    for name, line in trace.get("measures", {}).items():
        earlier = sent[line["of"]]
        earlier = [Fraction(one) for one in ([earlier] if isinstance(earlier, str) else earlier)]
        least = line.get("least_pct")
        norm = _norm(line, numbers)
        number = below_mean(numbers[None], earlier, line["gives"], least and Fraction(least["value"]), norm)
        numbers[name] = number
        mean = digits(sum(earlier, Fraction(0)) / len(earlier))
        against = f"a mean of {mean} ({line['of']})"
        if norm is not None:
            times = f" × {line['norm_times']}" if line["norm_times"] else ""
            of = f"the norm of {digits(norm)} ({tell(line['norm'], cited)}{times})"
            against = of if numbers[None] < norm else f"{against}, not being below {of}"
        words = f"{trace['quantity']} {trace['unit']} against {against}"
        if least:
            words += f", counted from {tell(least, cited)}"
        lines.append(f"{name}: {words}: {digits(number)} {line['unit']}.")
    return numbers, lines


def _norm(line: Mapping[str, Any], numbers: Numbers) -> Fraction | None:
    """What counts for all, where the measure knows such a norm."""
    if "norm" not in line:
        return None
    return Fraction(line["norm"]["value"]) * (numbers[line["norm_times"]] if line["norm_times"] else 1)


def _is_number(value: object) -> bool:
    return isinstance(value, str) and value.replace("-", "", 1).replace(".", "", 1).isdigit()


# --- energy and points ------------------------------------------------------------------------------


def _tell_energy(trace: Mapping[str, Any], numbers: Numbers, cited: list[str]) -> tuple[int, list[str]]:
    energy = trace["energy"]
    grams, lines = _tell_amount(trace, energy, "grams", "g", numbers, cited)
    if energy["method"] == "none":
        return 0, lines
    if "event_cap" in energy and grams > Fraction(energy["event_cap"]["value"]):
        grams = Fraction(energy["event_cap"]["value"]).__floor__()
        lines.append(f"cut to the cap of one activity, {tell(energy['event_cap'], cited)}.")
    return grams, [*lines, f"result {energy['g']:,} g, before the caps of the day, month and year."]


def _tell_points(
    trace: Mapping[str, Any], numbers: Numbers, avoided_mg: int, cited: list[str]
) -> tuple[int, int | None, list[str]]:
    points = trace["points"]
    numbers = {**numbers, AVOIDED_G: Fraction(avoided_mg, 1000)}
    total, lines = _tell_amount(trace, points, "points", "points", numbers, cited)
    lines.append(f"result {points['total']:,} points; told, not booked.")
    if "minor_per_point" not in points:
        return total, None, lines
    pays = tell(points["minor_per_point"], cited)
    money_minor = (total * Fraction(points["minor_per_point"]["value"])).__floor__()
    lines.append(f"each pays {pays}: {points['money_minor']:,} minor units of {points['currency']}.")
    return total, money_minor, lines


def _tell_amount(
    trace: Mapping[str, Any],
    formula: Mapping[str, Any],
    word: str,
    unit: str,
    numbers: Numbers,
    cited: list[str],
) -> tuple[int, list[str]]:
    """Whole grams or points by a formula, within its own bounds, and the words."""
    method = formula["method"]
    number, counted = _counted(trace, formula, numbers)
    if method == "none":
        return 0, [f"none. {formula['reason']}"]
    if method == "constant_per_event":
        exact = Fraction(formula[word]["value"])
        lines = [f"{tell(formula[word], cited)} for the activity, whatever its quantity."]
    elif method == "factor_times_quantity":
        exact = number * Fraction(formula[f"{word}_per_unit"]["value"])
        lines = [f"{counted} × {tell(formula[f'{word}_per_unit'], cited)} = {digits(exact)} {unit}."]
    else:
        exact, line = _tell_steps(formula, number, counted, unit, cited)
        lines = [line]
    amount = exact.__floor__()
    if exact.denominator != 1:
        lines.append(f"rounded down to {amount:,} {unit}.")
    if "least" in formula and number and amount < Fraction(formula["least"]["value"]).__floor__():
        amount = Fraction(formula["least"]["value"]).__floor__()
        lines.append(f"raised to the least of this formula, {tell(formula['least'], cited)}.")
    if "most" in formula and amount > Fraction(formula["most"]["value"]).__floor__():
        amount = Fraction(formula["most"]["value"]).__floor__()
        lines.append(f"cut to the most of this formula, {tell(formula['most'], cited)}.")
    return amount, lines


def _counted(trace: Mapping[str, Any], formula: Mapping[str, Any], numbers: Numbers) -> tuple[Fraction, str]:
    """The number that a formula counts, and the words for it."""
    of = formula.get("of")
    return numbers[
        of
    ], f"{trace['quantity']} {trace['unit']}" if of is None else f"{of} {digits(numbers[of])}"


def _tell_steps(
    formula: Mapping[str, Any], number: Fraction, counted: str, unit: str, cited: list[str]
) -> tuple[Fraction, str]:
    about = cites_of(formula, cited)
    reached = [(start, gives) for start, gives in formula["steps"] if Fraction(start) <= number]
    if not reached:
        return Fraction(0), f"{counted}, below the first step of the table {about}: nothing."
    start, gives = reached[-1]
    return Fraction(gives), f"{counted}: the step from {start} gives {gives} {unit} {about}."


# --- avoided emissions ------------------------------------------------------------------------------


def _tell_avoided(trace: Mapping[str, Any], numbers: Numbers, cited: list[str]) -> tuple[int, list[str]]:
    avoided = trace["avoided"]
    if avoided["method"] == "none":
        return 0, [f"none. {avoided['reason']}"]
    if avoided["method"] == "constant_per_event":
        exact = Fraction(avoided["grams"]["value"]) * 1000
        lines = [f"{tell(avoided['grams'], cited)} for the activity, whatever its quantity."]
    elif avoided["method"] == "step_table":
        number, counted = _counted(trace, avoided, numbers)
        exact, line = _tell_steps(avoided, number, counted, "gCO2e", cited)
        exact, lines = exact * 1000, [line]
    else:
        exact, lines = tell_scenarios(trace, numbers, cited)
    milligrams = max(0, exact.__floor__())
    if exact < 0:
        lines.append("the project emits more than the baseline: nothing is credited.")
    lines.append(
        f"{digits(exact)} mg, rounded down: result {avoided['mg']:,} mg CO2e{_give_or_take(avoided)}."
    )
    return milligrams, lines


def _give_or_take(avoided: Mapping[str, Any]) -> str:
    return f", give or take {avoided['uncertainty_pct']} %" if "uncertainty_pct" in avoided else ""


def _cite(rules: RuleBook, reference: str) -> str:
    found = rules.references.get(reference)
    if found is None:
        return "a reference of an earlier rulebook."
    where = found.link or found.document or ""
    return f"{found.title}. {found.publisher}, {found.date}. {where}".rstrip()
