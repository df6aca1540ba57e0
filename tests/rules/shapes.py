"""Small behaviours for tests of the rule format: the parts that a test writes, in a file that is else plain."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from textwrap import dedent, indent

from engine.core.quantify import Assessment, assess
from engine.core.rules import RuleBook
from tests.rules.pack import Pack

FROM = "2020-01-01"
NONE = "method: none\nreason: not the point of the test"
SURE = "uncertainty_pct: {2020-01-01: {value: 10, confidence: documented, references: [scheme]}}"
EVIDENCE = "- {kind: record, grade: A, what: A record}"


def dated(number: str | int) -> str:
    """A documented number from the first day on."""
    return f"{{{FROM}: {{value: {number}, confidence: documented, references: [scheme]}}}}"


def measured(unit: str, number: str | int) -> str:
    """An amount with its unit."""
    return f"{{unit: {unit}, values: {dated(number)}}}"


def behaviour(
    name: str,
    unit: str = "piece",
    energy: str = NONE,
    avoided: str = NONE,
    more: str = "",
    evidence: str = EVIDENCE,
    example: str = "{name: one, on: 2021-06-01, quantity: 1, refused: wrong_unit, unit: bag}",
    decimals: int = 3,
) -> str:
    """A behaviour's file. `{{80}}` in a part stands for a dated number, `{{g/set 5}}` for an amount with a unit."""
    parts = {"energy": energy, "avoided": avoided}
    text = f"""\
id: {name}
category: reuse
names: {{zh: 例子, en: {name}}}
description: {{zh: 例子, en: {name}}}
icon: leaf
in_force: {{from: {FROM}}}
quantity:
  unit: "{unit}"
  decimals: {decimals}
  min: {dated(0)}
  max: {dated(100000000)}
evidence:
{indent(dedent(evidence), "  ")}
scenario: {{baseline: before, project: after, boundary: all}}
ball: {{ripens: after}}
examples:
  - {example}
"""
    for key, part in parts.items():
        text += f"{key}:\n{indent(dedent(part).strip(), '  ')}\n"
    text += dedent(more)
    text = re.sub(r"\{\{([^ {}]+)\}\}", lambda found: dated(found[1]), text)
    return re.sub(r"\{\{([^ {}]+) ([^ {}]+)\}\}", lambda found: measured(found[1], found[2]), text)


def put(pack: Pack, name: str, **parts: object) -> Pack:
    """Write a behaviour into the pack."""
    return pack.add(f"behaviours/reuse/{name}.yaml", behaviour(name, **parts))  # type: ignore[arg-type]


FACTOR = """\
id: {name}
names: {{zh: 因子, en: {name}}}
unit: {unit}
boundary: all
fallback: [CN]
figures:
  - {{region: CN, year: 2020, from: 2020-01-01, value: {value}, confidence: documented, references: [scheme], table: t}}
"""


def factor(pack: Pack, name: str, unit: str, value: str) -> Pack:
    """Write a factor with one figure."""
    return pack.add(f"factors/{name}.yaml", FACTOR.format(name=name, unit=unit, value=value))


def act(
    rules: RuleBook,
    name: str,
    quantity: str = "1",
    province: str | None = None,
    evidence: str | None = None,
    on: str = "2021-06-01",
    **attributes: object,
) -> Assessment:
    """One act, assessed."""
    unit = rules.behaviours[name].unit
    day = date.fromisoformat(on)
    return assess(rules, name, Decimal(quantity), unit, day, attributes, province, evidence)
