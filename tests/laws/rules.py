"""The shipped rulebook with a few numbers bent for tests: cheap trees, so that a few acts are worth one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "game_rules"
PROGRAMME = "saxaul-alxa"


def bent_rules(folder: Path, *, tree_g: int | None = None, **game: int) -> Path:
    """A copy of the rulebook in `folder`: a tree of PROGRAMME costs `tree_g`; `game` are values of game.yaml."""
    rules = folder / "bent-rules"
    shutil.copytree(SHIPPED, rules)
    if tree_g is not None:
        programme = rules / "programmes" / f"{PROGRAMME}.yaml"
        line = f"energy_g:\n  2016-01-01: {_value(tree_g)}\n"
        programme.write_text(programme.read_text("utf-8") + line, "utf-8")
    settings = rules / "game.yaml"
    text = settings.read_text("utf-8")
    for name, value in game.items():
        text, found = re.subn(
            rf"^{name}:\n(?:  .*\n)+", f"{name}:\n  2016-01-01: {_value(value)}\n", text, flags=re.M
        )
        assert found == 1, name
    settings.write_text(text, "utf-8")
    return rules


def _value(number: int) -> str:
    return f"{{value: {number}, confidence: assumed, references: [saxaul-notes], because: For tests.}}"
