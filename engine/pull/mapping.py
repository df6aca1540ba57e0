"""From a record of a feed to an activity as any source would report it, by the paths of a pull file. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from engine.core.commands import ReportActivity
from engine.core.errors import Rejected
from engine.pull.files import ATTRIBUTE, Given, PullFile
from engine.reported import NAME_CHARACTERS_MAX, Reported, command_of

PROBLEM_CHARACTERS_MAX = 200
AS_TEXT = frozenset({"id", "subject", "quantity"})
_page = msgspec.json.Decoder(float_hook=Decimal).decode
_MISSING = object()


def decoded(body: bytes) -> Any:
    """A page's JSON with exact numbers. Raises ValueError."""
    try:
        return _page(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError) as problem:
        raise ValueError("not JSON") from problem


def found_at(tree: Any, path: str | None) -> Any:
    """What stands at a dotted path (numbers name places of a list); None where there is nothing."""
    for step in path.split(".") if path else ():
        if isinstance(tree, Mapping):
            tree = tree.get(step)
        elif isinstance(tree, list) and step.isdecimal() and int(step) < len(tree):
            tree = tree[int(step)]
        else:
            return None
    return tree


def command_from(file: PullFile, record: Any) -> ReportActivity:
    """The command of a record. Raises Rejected(bad_request | quantity_out_of_range)."""
    if not isinstance(record, Mapping):
        raise Rejected("bad_request", problem="a record that is not an object")
    wire: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, given in file.fields.items():
        value = _value(record, given)
        if value is None:
            continue
        if name.startswith(ATTRIBUTE):
            attributes[name.removeprefix(ATTRIBUTE)] = str(value) if isinstance(value, Decimal) else value
        else:
            wire[name] = _text(value) if name in AS_TEXT else value
    if attributes:
        wire["attributes"] = attributes
    try:
        reported = msgspec.convert(wire, Reported, strict=not isinstance(wire.get("revision"), str))
    except (msgspec.ValidationError, TypeError) as problem:
        raise Rejected("bad_request", problem=_printable(str(problem))) from problem
    return command_of(file.source, reported)


def _value(record: Mapping[str, Any], given: str | Given) -> Any:
    if isinstance(given, str):
        return found_at(record, given)
    if given.value is not None:
        return given.value
    value = found_at(record, given.path)
    return given.words.get(str(value), value) if given.words and value is not None else value


def _text(value: Any) -> Any:
    """Ids and quantities as text, whether the feed writes them as numbers or as texts; truth values stay wrong."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        text = str(value)
        return text if len(text) <= NAME_CHARACTERS_MAX else value
    return value


def _printable(text: str) -> str:
    shown = "".join(char if " " <= char <= "~" else "?" for char in text)
    return shown.replace("$.", "")[:PROBLEM_CHARACTERS_MAX]
