"""Writes the generated parts of docs/rules.md: `python -m tests.rules.docs_tables`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine.core.dimensions import KNOWN
from engine.core.formulas import StepTable
from engine.core.rules import RuleBook
from engine.core.values import Picked, Value
from engine.rulebook import load_rulebook, model_for, shipped_rules
from engine.rulefiles import models as m
from engine.rulefiles.checks import walk
from engine.rulefiles.reading import parse_document, path_text

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
MARK = re.compile(r"<!-- made: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
SHOWN: tuple[type[BaseModel], ...] = (
    m.BehaviourFile,
    *(m.QuantityRules, m.AttributeRules, m.MeasureRules, m.EvidenceRow, m.Scenario, m.Picked),
    *(m.Extent, m.TermRow, m.MixInForce, m.ModeRow, m.StepsInForce, m.StepRow),
    *(m.PointsRules, m.MoneyRules, m.PointStepsInForce, m.PointStep),
    *(m.CapRules, m.BallRules, m.Example),
    *(m.FactorFile, m.FactorFigure, m.FactorTable, m.FactorPart),
    *(m.SpeciesFile, m.ProgrammeFile, m.SeasonRow),
    *(m.GameFile, m.Reference, m.DatedValue),
)


def fields() -> Iterator[str]:
    """Every key of every file, with what it holds."""
    for model in SHOWN:
        yield f"\n**{' '.join((model.__doc__ or '').split())}**\n"
        yield "| key | needed | what it holds |"
        yield "|---|---|---|"
        for name, field in model.model_fields.items():
            choices = _choices(field)
            about = f"{field.description}" + (
                f" ({', '.join(f'`{choice}`' for choice in choices)})" if choices else ""
            )
            yield f"| `{field.alias or name}` | {'yes' if field.is_required() else 'no'} | {about} |"


def methods() -> Iterator[str]:
    """Every formula with its keys."""
    yield "| for | method | what it is | keys |"
    yield "|---|---|---|---|"
    unions = {"energy": m.EnergyFormula, "avoided": m.AvoidedFormula, "points": m.PointsFormula}
    for kind, union in unions.items():
        for model in get_args(get_args(union)[0]):
            method = get_args(model.model_fields["method"].annotation)[0]
            keys = ", ".join(
                f"`{field.alias or name}`" for name, field in model.model_fields.items() if name != "method"
            )
            yield f"| {kind} | `{method}` | {' '.join((model.__doc__ or '').split())} | {keys} |"


def units() -> Iterator[str]:
    """The units that formulas may use."""
    yield ", ".join(f"`{unit}`" for unit in KNOWN)


def behaviours() -> Iterator[str]:
    """The shipped behaviours with their numbers of today."""
    rules = load_rulebook()
    yield "| behaviour | | energy | caps | ripens | others see |"
    yield "|---|---|---|---|---|---|"
    for behaviour in sorted(rules.behaviours.values(), key=lambda behaviour: behaviour.id):
        yield _behaviour_row(rules, behaviour.id)


def _behaviour_row(rules: RuleBook, name: str) -> str:
    behaviour = rules.behaviours[name]
    now = behaviour.history.items[-1]
    assert now is not None
    value = getattr(now.energy, "grams", None) or getattr(now.energy, "grams_per_unit", None)
    energy = _energy(value) if value else "by steps" if isinstance(now.energy, StepTable) else "none"
    caps = ", ".join(f"{key} {cap.text}" for key, cap in now.cap_values.items()) or "none"
    ripens = (
        "next morning"
        if now.ball.ripens == "morning"
        else f"{now.ball.ripen_delay_h} h after `{now.ball.counts_from}`"
    )
    return f"| `{name}` | {behaviour.names['zh']} | {energy} | {caps} | {ripens} | {behaviour.others_see} |"


def _energy(value: Value | Picked[Value]) -> str:
    """A value, or all of several with what picks them."""
    if isinstance(value, Value):
        return f"{value.text} {value.unit}, {value.confidence}"
    return f"by {value.by}: " + "; ".join(f"{name} {_energy(one)}" for name, one in value.of.items())


def chosen() -> Iterator[str]:
    """Every assumed number of the shipped rulebook with its reason."""
    yield "| file | value | number | why |"
    yield "|---|---|---|---|"
    root = shipped_rules()
    for file in sorted(root.rglob("*.yaml")):
        name = file.relative_to(root).as_posix()
        for path, cited in _assumed(name, file):
            shown = cited.value.text if isinstance(cited, m.DatedValue) and cited.value else ""
            where = path_text(tuple(step for step in path if not re.match(r"\d{4}-", str(step))))
            yield f"| {name.rsplit('/', 1)[-1]} | `{where}` | {shown} | {cited.because} |"


def _assumed(name: str, file: Path) -> list[tuple[tuple[str | int, ...], m.Cited]]:

    model, (document, _) = model_for(name), parse_document(file.read_bytes(), name)
    assert model is not None
    assert document is not None
    found = walk(model.model_validate(document.tree))
    return [
        (path, cited) for path, cited in found if isinstance(cited, m.Cited) and cited.confidence == "assumed"
    ]


def _choices(field: FieldInfo) -> tuple[Any, ...]:
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def page_with_tables(page: str) -> str:
    """The page with fresh tables between its marks."""
    made = {"fields": fields, "methods": methods, "units": units, "behaviours": behaviours, "chosen": chosen}
    return MARK.sub(
        lambda mark: "\n".join([f"<!-- made: {mark[1]} -->", *made[mark[1]](), "<!-- end -->"]), page
    )


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
