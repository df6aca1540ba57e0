"""The page for product managers says what the rule files are; its examples are rules that load."""

from __future__ import annotations

import re
from typing import get_args

from engine.rulefiles import models as m
from engine.rulefiles.reading import parse_document
from tests.rules.docs_tables import MARK, PAGE, page_with_tables
from tests.rules.pack import FILES, SAVING, Pack


def test_generated_tables_are_fresh() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(mark[1] for mark in MARK.finditer(page)) == [
        "behaviours",
        "chosen",
        "fields",
        "methods",
        "units",
    ]
    assert page == page_with_tables(page), "run: python -m tests.rules.docs_tables"


def test_the_whole_file_on_the_page_is_a_rule_that_loads(pack: Pack) -> None:
    blocks = re.findall(r"```yaml\n(id: .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    references = FILES["references.yaml"]
    own = references.splitlines()[1].replace("scheme:", "our-trial:", 1)
    pack.add("references.yaml", f"{references}{own}\n").add(
        "behaviours/less-paper-and-plastic/own-cup.yaml", blocks[0]
    )
    assert pack.check().ok, pack.problems()


class Snippet(m.Strict):
    """The parts of files that the page shows."""

    attributes: dict[str, m.AttributeRules] | None = None
    measures: dict[str, m.MeasureRules] | None = None
    energy: m.EnergyFormula | None = None
    avoided: m.AvoidedFormula | None = None
    points: m.PointsRules | None = None
    tables: list[m.FactorTable] | None = None


def test_the_snippets_on_the_page_have_the_shape_of_rules() -> None:
    page = PAGE.read_text(encoding="utf-8")
    snippets = re.findall(r"```yaml\n((?!id:|caps:).*?)```", page, re.DOTALL)
    methods: dict[str, set[str]] = {"energy": set(), "avoided": set()}
    for snippet in snippets:
        text = re.sub(
            r"\bD\b", "{2026-12-01: {value: 1, confidence: documented, references: [scheme]}}", snippet
        )
        document, problems = parse_document(text.encode(), "snippet")
        assert document is not None, (snippet, problems)
        found = Snippet.model_validate(document.tree)
        for kind, formula in (("energy", found.energy), ("avoided", found.avoided)):
            if formula is not None:
                methods[kind].add(formula.method)
    for kind, union in (("energy", m.EnergyFormula), ("avoided", m.AvoidedFormula)):
        shapes = get_args(get_args(union)[0])
        known = {get_args(shape.model_fields["method"].annotation)[0] for shape in shapes}
        assert known - methods[kind] == {"none"}, "a method without a snippet"


def test_the_change_on_the_page_does_what_the_page_says(pack: Pack) -> None:
    page = PAGE.read_text(encoding="utf-8")
    change = re.search(r"```yaml\n(caps:.*?)```", page, re.DOTALL)
    assert change is not None
    text = FILES[SAVING]
    start, end = text.index("caps:"), text.index("ball:")
    lines = (
        change[1]
        .replace("guide-xmcar", "scheme")
        .replace("player-wanbiao", "scheme")
        .replace("saxaul-notes", "scheme")
    )
    saving = (
        pack.add(SAVING, text[:start] + lines.replace("2016-01-01", "2020-01-01") + text[end:])
        .load()
        .behaviours["saving"]
    )
    caps = [rule.caps.day_g for rule in saving.history.items if rule is not None]
    assert caps[0] == 296
    assert caps[-1] == 350
