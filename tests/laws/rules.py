"""The shipped rulebook with a few numbers bent for tests: cheap trees, so that a few acts are worth one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "game_rules"
PROGRAMME = "saxaul-alxa"
SHOWN = "  - {kind: ticket-photo, grade: D, what: A photo of the ticket.}\n"


def bent_rules(folder: Path, *, tree_g: int, order_min_trees: int = 50, **game: int) -> Path:
    """A copy of the rulebook in `folder`.

    Bus rides may be shown by a photo.
    A tree of PROGRAMME costs `tree_g`, an order has `order_min_trees` at least; `game` are values of game.yaml.
    """
    rules = folder / "bent-rules"
    shutil.copytree(SHIPPED, rules)
    programme = rules / "programmes" / f"{PROGRAMME}.yaml"
    text = _bend(programme.read_text("utf-8"), order_min_trees=order_min_trees)
    programme.write_text(f"{text}energy_g:\n  2016-01-01: {_value(tree_g)}\n", "utf-8")
    bus = rules / "behaviours" / "green-travel" / "bus.yaml"
    text, found = re.subn(
        r"^evidence:\n((?:  .*\n)+)", rf"evidence:\n\1{SHOWN}", bus.read_text("utf-8"), flags=re.M
    )
    assert found == 1
    bus.write_text(text, "utf-8")
    settings = rules / "game.yaml"
    settings.write_text(_bend(settings.read_text("utf-8"), **game), "utf-8")
    return rules


def _bend(text: str, **values: int) -> str:
    """The text of a file with other values; each must be there once, and counts for all days."""
    for name, value in values.items():
        text, found = re.subn(
            rf"^{name}:\n(?:  .*\n)+", f"{name}:\n  2016-01-01: {_value(value)}\n", text, flags=re.M
        )
        assert found == 1, name
    return text


def _value(number: int) -> str:
    return f"{{value: {number}, confidence: assumed, references: [saxaul-notes], because: For tests.}}"
