"""The page for product managers says what the rule files are; its examples are rules that load."""

from __future__ import annotations

import re

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
