"""Tells a trace in Chinese, step by step, working it out again from the values that the trace keeps.

Methods that are not known here are told value by value, so that a new method is never left out. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from engine.core.dimensions import dimension
from engine.core.rules import RuleBook
from engine.core.telling import digits

CONFIDENCE = {"documented": "有据可查", "derived": "推算", "assumed": "自行设定"}
METHODS = {
    "none": "不计入",
    "constant_per_event": "每次固定值",
    "factor_times_quantity": "因子乘以数量",
    "step_table": "分级表",
    "baseline_minus_project": "基准减项目",
    "mode_mix": "替代的出行方式组合",
    "annualised_stock": "按年折算",
}
SIDES = {"baseline": "基准情景", "project": "项目情景"}
WORDS = {
    "grams": "每次克数",
    "grams_per_unit": "每单位克数",
    "per_unit": "每单位折算",
    "share": "替代比例",
    "amount": "用量",
    "baseline": "基准情景",
    "project": "项目情景",
    "event_cap": "单次上限",
    "factor": "因子",
    "of": "依据",
    "gives": "结果为",
    "norm": "全市均值",
    "norm_times": "乘以",
    "least_pct": "最低降幅 %",
    "is": "得",
    "kind": "种类",
    "grade": "等级",
    "unit": "单位",
    "points": "积分",
    "measures": "测算量",
    "evidence": "凭证",
}
# parts of a trace that have words of their own above; whatever else a trace has is told value by value
TOLD = {"v", "rules", "behaviour", "on", "quantity", "unit", "province", "attributes", "energy", "avoided"}
VALUE_TOLD = {"value", "unit", "from", "confidence", "references", "picked"}
ENERGY_TOLD = {
    "method", "grams", "grams_per_unit", "of", "steps", "from", "confidence", "references", "event_cap", "g", "picked",
}  # fmt: skip
AVOIDED_TOLD = {
    "method", "functional_unit", "per_unit", "attribute", "share", "years", "baseline", "project", "mg",
    "uncertainty_pct",
}  # fmt: skip
TERM_TOLD = VALUE_TOLD | {
    "mode", "factor", "amount", "share", "region", "year", "match", "years_off", "made_of",
}  # fmt: skip


def describe_zh(trace: Mapping[str, Any], rules: RuleBook) -> list[str]:
    """The calculation in Chinese; `rules` gives names and the text of references only."""
    rule = rules.behaviours.get(trace["behaviour"])
    name = rule.names["zh"] if rule else trace["behaviour"]
    same = "现行规则库" if trace["rules"] == rules.hash else "早先的规则库"
    sent = "，".join(f"{key} {_sent(value)}" for key, value in trace.get("attributes", {}).items())
    where = f"，地区 {trace['province']}" if trace.get("province") else ""
    about = f"{name}，{trace['quantity']} {trace['unit']}，{trace['on']}{where}"
    lines = [f"{about}{f'（{sent}）' if sent else ''}，依据{same}（{trace['rules'][:12]}）。"]
    cited: list[str] = []
    lines += [f"能量：{line}" for line in _energy(trace, cited)]
    lines += [f"减排量：{line}" for line in _avoided(trace, cited)]
    for key, inner in trace.items():
        if key not in TOLD:
            lines += _inside(inner, cited, WORDS.get(key, key))
    return [*lines, *(f"[{reference}] {_cite(rules, reference)}" for reference in dict.fromkeys(cited))]


# --- energy -----------------------------------------------------------------------------------------


def _energy(trace: Mapping[str, Any], cited: list[str]) -> Iterator[str]:
    energy = trace["energy"]
    method = energy["method"]
    if method == "none":
        yield f"不计入。{energy['reason']}"
        return
    exact: Fraction | None = None
    if method == "constant_per_event":
        exact = Fraction(energy["grams"]["value"])
        yield f"每次固定 {_tell(energy['grams'], cited)}，与数量无关。"
    elif method == "factor_times_quantity" and "grams_per_unit" in energy:
        number, words, _ = _counted(trace, energy.get("of"))
        exact = number * Fraction(energy["grams_per_unit"]["value"])
        yield f"{words} × {_tell(energy['grams_per_unit'], cited)} = {digits(exact)} g。"
    elif method == "step_table" and "steps" in energy:
        yield from _steps(energy, _counted(trace, energy.get("of"))[2], cited)
    else:
        yield f"方法：{METHODS.get(method, method)}。"
    yield from _rest(energy, ENERGY_TOLD, cited)
    if exact is not None and exact.denominator != 1:
        yield f"向下取整为 {exact.__floor__():,} g。"
    if "event_cap" in energy:
        yield f"单次上限 {_tell(energy['event_cap'], cited)}。"
    yield f"结果 {energy['g']:,} g，未计每日与每月上限。"


def _counted(trace: Mapping[str, Any], name: str | None) -> tuple[Fraction, str, str]:
    """What a formula counts: the quantity, a measure or a number that was sent; with words and its unit."""
    if name is None:
        return Fraction(trace["quantity"]), f"{trace['quantity']} {trace['unit']}", trace["unit"]
    measure = trace.get("measures", {}).get(name)
    if measure is not None:
        number = Fraction(measure["is"])
        return number, f"{name} {digits(number)} {measure['unit']}", measure["unit"]
    sent = trace["attributes"][name]
    return Fraction(sent), f"{name} {sent}", ""


def _sent(value: Any) -> str:
    """What was sent as it is written: a text, several numbers, or legs."""
    if isinstance(value, str):
        return value
    return " ".join(one if isinstance(one, str) else ":".join(one) for one in value)


def _steps(energy: Mapping[str, Any], unit: str, cited: list[str]) -> Iterator[str]:
    cited.extend(energy["references"])
    rows = "；".join(f"{start} {unit} 起 {grams} g" for start, grams in energy["steps"])
    sure = CONFIDENCE.get(energy["confidence"], energy["confidence"])
    cites = "".join(f" [{reference}]" for reference in energy["references"])
    yield f"分级：{rows}（{sure}，自 {energy['from']} 起{cites}）。"


# --- avoided emissions ------------------------------------------------------------------------------


def _avoided(trace: Mapping[str, Any], cited: list[str]) -> Iterator[str]:
    avoided = trace["avoided"]
    method = avoided["method"]
    if method == "none":
        yield f"不计入。{avoided['reason']}"
        return
    if method == "constant_per_event":
        yield f"每次固定 {_tell(avoided['grams'], cited)}，与数量无关。"
    elif _is_scenarios(avoided):
        yield from _scenarios(trace, cited)
    else:
        yield f"方法：{METHODS.get(method, method)}。"
        yield from _rest(avoided, {"method", "mg", "uncertainty_pct"}, cited)
    spread = f"，不确定度 ±{avoided['uncertainty_pct']} %" if "uncertainty_pct" in avoided else ""
    yield f"向下取整，结果 {avoided['mg']:,} mg CO2e{spread}。"


def _is_scenarios(avoided: Mapping[str, Any]) -> bool:
    """Whether it is extent × share × (baseline - project) of lines of one factor each, as told below."""
    sides = [avoided.get("baseline"), avoided.get("project")]
    return "functional_unit" in avoided and all(
        isinstance(side, list) and all("factor" in term or "mode" in term for term in side) for side in sides
    )


def _scenarios(trace: Mapping[str, Any], cited: list[str]) -> Iterator[str]:
    avoided = trace["avoided"]
    method = avoided["method"]
    if method not in ("factor_times_quantity", "baseline_minus_project"):
        yield f"方法：{METHODS.get(method, method)}。"
    yield _extent(trace, cited)
    unit = avoided["functional_unit"] + (" 每年" if "years" in avoided else "")
    for side, words in SIDES.items():
        for term in avoided[side]:
            rate, told = _term(term, trace, cited)
            yield f"{words}：{told} = 每 {unit} {digits(rate / 1000)} g。"
            yield from _rest(term, TERM_TOLD, cited)
    if len(avoided["baseline"]) + len(avoided["project"]) > 1:
        yield "基准情景减去项目情景；若项目排放更多，则不计入。"
    if "years" in avoided:
        yield f"一次计入 {_tell(avoided['years'], cited)}。"
    if "share" in avoided:
        yield f"其中替代基准情景的比例为 {_tell(avoided['share'], cited)}。"
    yield from _rest(avoided, AVOIDED_TOLD, cited)


def _term(term: Mapping[str, Any], trace: Mapping[str, Any], cited: list[str]) -> tuple[Fraction, str]:
    """A scenario's line: milligrams for each functional unit, and the words."""
    rate, told = _factor(term, trace, cited) if "factor" in term else (Fraction(0), "边界内无排放")
    rate *= dimension(trace["avoided"]["functional_unit"]).scale
    if "amount" in term:
        rate *= Fraction(term["amount"]["value"]) * dimension(term["amount"]["unit"]).scale
        told = f"{_tell(term['amount'], cited)} × {told}"
    if "share" in term:
        rate *= Fraction(term["share"]["value"])
        told = f"比例 {_tell(term['share'], cited)} × {told}"
    return rate, f"{term['mode']}：{told}" if "mode" in term else told


def _extent(trace: Mapping[str, Any], cited: list[str]) -> str:
    avoided = trace["avoided"]
    unit = avoided["functional_unit"]
    scale = dimension(unit).scale
    attribute = avoided.get("attribute")
    if attribute and attribute["name"] in trace.get("attributes", {}):
        sent = Fraction(trace["attributes"][attribute["name"]]) * dimension(attribute["unit"]).scale / scale
        return f"上报的 {attribute['name']} 为 {digits(sent)} {unit}。"
    if attribute and attribute["name"] in trace.get("measures", {}):
        number, words, measured_in = _counted(trace, attribute["name"])
        return f"测算的 {words} 为 {digits(number * dimension(measured_in).scale / scale)} {unit}。"
    extent = Fraction(trace["quantity"]) * dimension(trace["unit"]).scale / scale
    if "per_unit" not in avoided:
        return f"{digits(extent)} {unit}。"
    per_unit = avoided["per_unit"]
    extent *= Fraction(per_unit["value"]) * dimension(per_unit["unit"]).scale
    return f"{trace['quantity']} {trace['unit']} × {_tell(per_unit, cited)} = {digits(extent)} {unit}。"


def _factor(line: Mapping[str, Any], trace: Mapping[str, Any], cited: list[str]) -> tuple[Fraction, str]:
    """A factor in milligrams for one base unit, and the words."""
    if "made_of" in line:
        total, words = Fraction(0), []
        for part in line["made_of"]:
            rate, inner = _factor(part, trace, cited)
            total += rate * Fraction(part["amount"]["value"]) * dimension(part["amount"]["unit"]).scale
            words.append(f"{_tell(part['amount'], cited)} × {inner}")
        return total, f"{line['factor']}（" + " + ".join(words) + "）"
    place = f"{line['region']} {line['year']} 年"
    if line["match"] == "fallback":
        place += f"，{trace['province'] or '未知省份'} 没有，按规定的后备地区"
    elif line["match"] == "country" and "-" in (trace["province"] or ""):
        place += f"，{trace['province']} 没有，取全国值"
    rate = Fraction(line["value"]) * dimension(line["unit"]).scale
    return rate, f"{line['factor']} {_tell(line, cited)}（{place}）"


# --- values -----------------------------------------------------------------------------------------


def _rest(tree: Mapping[str, Any], told: set[str], cited: list[str], path: str = "") -> Iterator[str]:
    """Whatever a part of a trace has besides what is told already, value by value."""
    for key, inner in tree.items():
        if key not in told:
            where = f"{path}·{WORDS.get(key, key)}" if path else WORDS.get(key, key)
            yield from _inside(inner, cited, where)


def _values(tree: Mapping[str, Any], cited: list[str], path: str) -> Iterator[str]:
    """Every value of a part of a trace that has no words of its own here."""
    if "value" in tree and "confidence" in tree:
        yield f"{path} = {_tell(tree, cited)}。"
        yield from _rest(tree, VALUE_TOLD, cited, path)
    else:
        cited.extend(tree.get("references", ()))
        yield from _rest(tree, {"references"}, cited, path)


def _inside(inner: Any, cited: list[str], where: str) -> Iterator[str]:
    if isinstance(inner, Mapping):
        yield from _values(inner, cited, where)
    elif isinstance(inner, list):
        for place, one in enumerate(inner, start=1):
            yield from _inside(one, cited, f"{where} {place}")
    elif inner is not None:
        yield f"{where}：{inner}。"


def _tell(value: Mapping[str, Any], cited: list[str]) -> str:
    cited.extend(value["references"])
    cites = "".join(f" [{reference}]" for reference in value["references"])
    unit = "" if value["unit"] == "1" else f" {value['unit']}"
    sure = CONFIDENCE.get(value["confidence"], value["confidence"])
    picked = f"，按 {' '.join(value['picked'])} 选取" if value.get("picked") else ""
    return f"{value['value']}{unit}（{sure}，自 {value['from']} 起{picked}{cites}）"


def _cite(rules: RuleBook, reference: str) -> str:
    found = rules.references.get(reference)
    if found is None:
        return "早先规则库的来源。"
    return f"{found.title}。{found.publisher}，{found.date}。{found.link or found.document or ''}".rstrip()
