"""Working out what an act is worth: grams of energy and milligrams of CO2e avoided, with the trace of how.

Arithmetic is exact (integers and fractions, never floating point) and rounds once, at the end, downwards: energy to whole grams, avoided
emissions to whole milligrams. Caps of a day or month need other activities and are not applied here. What is constant for a
behaviour, a stretch of time and a region is worked out once (a plan, kept in the rulebook's memo), so that an
assessment is a few integer operations. This module knows nothing of files, accounts or balls.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.dimensions import dimension
from engine.core.errors import Rejected
from engine.core.rules import (
    Attribute,
    AvoidedFormula,
    Behaviour,
    BehaviourInForce,
    Constant,
    EnergyFormula,
    NoAmount,
    Ratio,
    RuleBook,
    Scenarios,
    StepTable,
    Term,
    Value,
)
from engine.core.units import instant

TRACE_VERSION = 1
FINEST_EXPONENT = -12  # no quantity is finer than this, whatever a behaviour allows
TEXT_CHARACTERS_MAX = 40


@dataclass(slots=True)
class Assessment:
    """What one activity is worth before the caps of its day and month.

    energy_g: grams of energy after the cap for one activity; avoided_mg: milligrams CO2e; trace: JSON-able, for `describe`. Parts of
    the trace are shared between assessments: read it, don't change it.
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

    Raises Rejected: unknown_behaviour, not_in_force, wrong_unit, quantity_out_of_range, missing_attribute, bad_attribute.
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
    plan = _plan(rules, rule, in_force, province)
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
    """What an activity of so many grams books on an otherwise empty day and month: the gram caps, nothing else."""
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
    return amount if (amount * 10**decimals).denominator == 1 else None


def _attributes(in_force: BehaviourInForce, attributes: Mapping[str, object]) -> dict[str, Decimal]:
    """The number attributes sent; every attribute is checked, and none is accepted that the rule does not name."""
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
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    if isinstance(found, str):
        try:
            return instant(found)
        except ValueError:
            pass
    raise Rejected(
        "bad_attribute", attribute=name, value=str(found)[:TEXT_CHARACTERS_MAX], reason="not_an_instant"
    )


# --- plans: what is constant for a behaviour, a stretch of time and a region --------------------------


@dataclass(frozen=True, slots=True)
class _EnergyPlan:
    """grams = fixed + floor(quantity × above / below), or a step's, at most `cap`."""

    fixed: int
    above: int
    below: int
    steps_from: tuple[Fraction, ...]
    steps_g: tuple[int, ...]
    cap: int | None
    trace: dict[str, Any]

    def grams(self, quantity: Fraction) -> int:
        above, below = quantity.as_integer_ratio()
        grams = self.fixed + above * self.above // (below * self.below)
        if self.steps_from:
            reached = bisect_right(self.steps_from, quantity)
            grams = self.steps_g[reached - 1] if reached else 0
        return grams if self.cap is None else min(grams, self.cap)


@dataclass(frozen=True, slots=True)
class _AvoidedPlan:
    """milligrams = fixed + floor(extent × rate), never below nothing; the extent is the quantity or an attribute."""

    fixed: int
    rate: Fraction
    rate_of_attribute: Fraction
    attribute: str | None
    trace: dict[str, Any]

    def milligrams(self, quantity: Fraction, sent: Mapping[str, Decimal]) -> int:
        if self.attribute is not None and self.attribute in sent:
            above, below = (Fraction(sent[self.attribute]) * self.rate_of_attribute).as_integer_ratio()
        else:
            above, below = (quantity * self.rate).as_integer_ratio()
        return self.fixed + max(0, above // below)


@dataclass(frozen=True, slots=True)
class _Plan:
    energy: _EnergyPlan
    avoided: _AvoidedPlan


def _plan(rules: RuleBook, rule: Behaviour, in_force: BehaviourInForce, province: str | None) -> _Plan:
    region = rules.region_of(province)
    key = (rule.id, in_force.since, region)
    plan = rules.memo.get(key)
    if plan is None:
        plan = _Plan(_energy_plan(in_force), _avoided_plan(rules, rule, in_force, region))
        rules.memo[key] = plan
    assert isinstance(plan, _Plan)
    return plan


def _energy_plan(in_force: BehaviourInForce) -> _EnergyPlan:
    formula = in_force.energy
    cap = in_force.caps.event_g
    trace = _energy_trace(formula)
    if cap is not None:
        trace["event_cap"] = in_force.cap_values["event_g"].trace()
    if isinstance(formula, Constant):
        return _EnergyPlan(formula.grams.amount.__floor__(), 0, 1, (), (), cap, trace)
    if isinstance(formula, Ratio):
        above, below = formula.grams_per_unit.amount.as_integer_ratio()
        return _EnergyPlan(0, above, below, (), (), cap, trace)
    if isinstance(formula, StepTable):
        starts = tuple(step.from_quantity for step in formula.steps)
        return _EnergyPlan(
            0, 0, 1, starts, tuple(step.grams.__floor__() for step in formula.steps), cap, trace
        )
    return _EnergyPlan(0, 0, 1, (), (), cap, trace)


def _energy_trace(formula: EnergyFormula) -> dict[str, Any]:
    if isinstance(formula, Constant):
        return {"method": formula.method, "grams": formula.grams.trace()}
    if isinstance(formula, Ratio):
        return {"method": formula.method, "grams_per_unit": formula.grams_per_unit.trace()}
    if isinstance(formula, StepTable):
        steps = [[str(step.from_quantity), str(step.grams)] for step in formula.steps]
        about = {
            "from": formula.since.isoformat(),
            "confidence": formula.confidence,
            "references": list(formula.references),
        }
        return {"method": formula.method, "steps": steps, **about}
    return {"method": formula.method, "reason": formula.reason}


def _avoided_plan(
    rules: RuleBook, rule: Behaviour, in_force: BehaviourInForce, region: str | None
) -> _AvoidedPlan:
    formula: AvoidedFormula = in_force.avoided
    if isinstance(formula, NoAmount):
        return _AvoidedPlan(
            0, Fraction(0), Fraction(0), None, {"method": formula.method, "reason": formula.reason}
        )
    if isinstance(formula, Constant):
        fixed = (formula.grams.amount * 1000).__floor__()
        return _AvoidedPlan(
            fixed, Fraction(0), Fraction(0), None, {"method": formula.method, "grams": formula.grams.trace()}
        )
    trace = _extent_trace(in_force, formula)
    baseline, trace["baseline"] = _side(rules, formula.baseline, in_force.since, region)
    project, trace["project"] = _side(rules, formula.project, in_force.since, region)
    per_base_unit = (baseline - project) * (formula.share.amount if formula.share else 1)
    if in_force.uncertainty is not None:
        trace["uncertainty_pct"] = in_force.uncertainty.text
    rate = per_base_unit * dimension(rule.unit).scale * _measure(formula.per_unit)
    rate_of_attribute = Fraction(0)
    if formula.attribute is not None:
        rate_of_attribute = per_base_unit * dimension(in_force.attributes[formula.attribute].unit).scale
    return _AvoidedPlan(0, rate, rate_of_attribute, formula.attribute, trace)


def _extent_trace(in_force: BehaviourInForce, formula: Scenarios) -> dict[str, Any]:
    trace: dict[str, Any] = {"method": formula.method, "functional_unit": formula.functional_unit}
    if formula.per_unit is not None:
        trace["per_unit"] = formula.per_unit.trace()
    if formula.attribute is not None:
        trace["attribute"] = {"name": formula.attribute, "unit": in_force.attributes[formula.attribute].unit}
    if formula.share is not None:
        trace["share"] = formula.share.trace()
    return trace


def _measure(value: Value | None) -> Fraction:
    return Fraction(1) if value is None else value.amount * dimension(value.unit).scale


def _side(
    rules: RuleBook, terms: tuple[Term, ...], on: date, region: str | None
) -> tuple[Fraction, list[dict[str, Any]]]:
    """One scenario: milligrams for one base unit of the extent, and its lines for the trace."""
    total = Fraction(0)
    lines: list[dict[str, Any]] = []
    for term in terms:
        rate, line = _factor(rules, term.factor, on, region)
        if term.amount is not None:
            rate *= _measure(term.amount)
            line["amount"] = term.amount.trace()
        total += rate
        lines.append(line)
    return total, lines


def _factor(rules: RuleBook, factor_id: str, on: date, region: str | None) -> tuple[Fraction, dict[str, Any]]:
    """A factor in milligrams for one base unit, and its line for the trace."""
    factor = rules.factors[factor_id]
    line: dict[str, Any] = {"factor": factor_id}
    if not factor.parts:
        figure = factor.find(on, region)
        assert figure is not None, f"{factor_id} has no figure on {on}"  # the loader has made sure
        line |= {
            "region": figure.region,
            "year": figure.year,
            "match": _match(figure.region, region),
            **figure.value.trace(),
        }
        return figure.value.amount * dimension(factor.unit).scale, line
    total = Fraction(0)
    line |= {"unit": factor.unit, "made_of": []}
    for part in factor.parts:
        amount = part.amount.on(on)
        assert amount is not None, (
            f"{factor_id} has no amount of {part.factor} on {on}"
        )  # the loader has made sure
        rate, inner = _factor(rules, part.factor, on, region)
        total += rate * _measure(amount)
        line["made_of"].append({**inner, "amount": amount.trace()})
    return total, line


def _match(found: str, region: str | None) -> str:
    if found != region and not (region or "").startswith(f"{found}-"):
        return "fallback"
    return "province" if "-" in found else "country"


# --- in words ---------------------------------------------------------------------------------------


def describe(trace: Mapping[str, Any], rules: RuleBook) -> list[str]:
    """The calculation in words, step by step, worked out again from the values that the trace keeps.

    `rules` gives names and the text of references only, so an old trace is told truly under a newer rulebook.
    """
    rule = rules.behaviours.get(trace["behaviour"])
    name = rule.names["en"] if rule else trace["behaviour"]
    same = "the rulebook now in force" if trace["rules"] == rules.hash else "an earlier rulebook"
    lines = [
        f"{name}, {trace['quantity']} {trace['unit']} on {trace['on']}{_place(trace)}, by {same} ({trace['rules'][:12]})."
    ]
    cited: list[str] = []
    lines += [f"Energy: {line}" for line in _tell_energy(trace, cited)]
    lines += [f"Avoided emissions: {line}" for line in _tell_avoided(trace, cited)]
    lines += [f"[{reference}] {_cite(rules, reference)}" for reference in dict.fromkeys(cited)]
    return lines


def _place(trace: Mapping[str, Any]) -> str:
    sent = ", ".join(f"{name} {value}" for name, value in trace.get("attributes", {}).items())
    where = f" in {trace['province']}" if trace.get("province") else ""
    return where + (f" ({sent})" if sent else "")


def _tell_energy(trace: Mapping[str, Any], cited: list[str]) -> list[str]:
    energy = trace["energy"]
    method = energy["method"]
    if method == "none":
        return [f"none. {energy['reason']}"]
    if method == "constant_per_event":
        exact = Fraction(energy["grams"]["value"])
        lines = [f"{_tell(energy['grams'], cited)} for the activity, whatever its quantity."]
    elif method == "factor_times_quantity":
        exact = Fraction(trace["quantity"]) * Fraction(energy["grams_per_unit"]["value"])
        lines = [
            f"{trace['quantity']} {trace['unit']} × {_tell(energy['grams_per_unit'], cited)} = {digits(exact)} g."
        ]
    else:
        exact, line = _tell_steps(trace, cited)
        lines = [line]
    if exact.denominator != 1:
        lines.append(f"rounded down to {exact.__floor__()} g.")
    if "event_cap" in energy and exact.__floor__() > Fraction(energy["event_cap"]["value"]):
        lines.append(f"cut to the cap of one activity, {_tell(energy['event_cap'], cited)}.")
    return [*lines, f"result {energy['g']} g (before the caps of the day and month)."]


def _tell_steps(trace: Mapping[str, Any], cited: list[str]) -> tuple[Fraction, str]:
    energy = trace["energy"]
    cited.extend(energy["references"])
    quantity = Fraction(trace["quantity"])
    reached = [(start, grams) for start, grams in energy["steps"] if Fraction(start) <= quantity]
    start, grams = reached[-1] if reached else ("0", "0")
    cites = "".join(f" [{reference}]" for reference in energy["references"])
    return Fraction(
        grams
    ), f"the step from {start} {trace['unit']} gives {grams} g ({energy['confidence']}{cites})."


def _tell_avoided(trace: Mapping[str, Any], cited: list[str]) -> list[str]:
    avoided = trace["avoided"]
    if avoided["method"] == "none":
        return [f"none. {avoided['reason']}"]
    if avoided["method"] == "constant_per_event":
        return [f"{_tell(avoided['grams'], cited)} for the activity.", f"result {avoided['mg']} mg CO2e."]
    extent, line = _tell_extent(trace, cited)
    lines = [line]
    total = Fraction(0)
    for side, sign in (("baseline", 1), ("project", -1)):
        for term in avoided[side]:
            grams, words = _tell_term(term, trace, cited)
            total += sign * grams
            lines.append(f"{side}: {words} = {digits(grams / 1000)} g for each {avoided['functional_unit']}.")
    exact = extent * total
    if len(avoided["baseline"]) + len(avoided["project"]) > 1:
        lines.append(
            f"baseline minus project: {digits(total / 1000)} g for each {avoided['functional_unit']}."
        )
    if "share" in avoided:
        exact *= Fraction(avoided["share"]["value"])
        lines.append(f"of these acts a share of {_tell(avoided['share'], cited)} replaces the baseline.")
    if exact < 0:
        lines.append("the project emits more than the baseline: nothing is credited.")
    lines.append(f"{digits(exact)} mg, rounded down: result {avoided['mg']} mg CO2e{_give_or_take(avoided)}.")
    return lines


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
    return f"{value['value']}{unit} ({value['confidence']}, in force from {value['from']}{cites})"


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
