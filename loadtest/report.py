"""Tables for people and JSON for machines, from the figures of all rounds. It must not know what they mean."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table


def number(value: float, digits: int = 0) -> str:
    """A figure for the table; a dash for what was not measured."""
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Lowest to highest."""
    known = [value for value in values if not math.isnan(value)]
    return f"{number(min(known), digits)}-{number(max(known), digits)}" if known else "-"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> Table:
    """A rich table: first column left, the others right."""
    made = Table(title=title, caption=caption or None, title_justify="left", caption_justify="left")
    for place, column in enumerate(columns):
        made.add_column(column, justify="left" if place == 0 else "right")
    for row in rows:
        made.add_row(*row)
    return made


def print_environment(console: Console, environment: dict[str, object]) -> None:
    """What the figures were measured on."""
    for name, value in environment.items():
        if isinstance(value, dict):
            console.print(
                f"{name}: {', '.join(f'{key} {item}' for key, item in value.items())}", highlight=False
            )
        else:
            console.print(f"{name}: {value}", highlight=False)


def write_json(path: Path, results: dict[str, object]) -> None:
    """All figures of all rounds; NaN becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_without_nan(results), indent=1, default=str), encoding="utf-8")


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
