"""Writes the table of settings in docs/operations.md: `python -m tests.house.settings_table`."""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from engine.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN, END = "<!-- settings: made by python -m tests.house.settings_table -->", "<!-- end of settings -->"


def table() -> str:
    """The table as Markdown, one row a field in the order of the class."""
    rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        cells = [f"`SAXAUL_{name.upper()}`", _type(field.annotation), _default(default), field.description]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def _type(annotation: Any) -> str:
    if get_origin(annotation) is list:
        return "JSON list"
    if get_origin(annotation) is dict:
        return "JSON object"
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType]
    names = {str: "text", int: "whole number", float: "number", bool: "true, false", Path: "path"}
    return " or ".join(names.get(kind, getattr(kind, "__name__", str(kind))) for kind in kinds)


def _default(value: Any) -> str:
    if value is None or value == "":
        return "not set"
    if isinstance(value, str) and "not-for-production" in value:
        return "a demo value, refused off loopback"
    return f"`{value if isinstance(value, str | Path) else json.dumps(value)}`"


def page_with_table(page: str) -> str:
    """The page with a fresh table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text()))
