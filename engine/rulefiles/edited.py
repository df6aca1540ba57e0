"""Finds values that were in force and were edited in place: what a later rulebook says of days that have begun.

Compares files as trees, whatever their kind: a number stands under the day from which it counts, and such a number
never changes once that day has come. Words (names, descriptions, examples, citations) may change at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from engine.rulefiles.hashing import ASIDE_FILES
from engine.rulefiles.reading import parse_document, path_text

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# fmt: off
WORDS = frozenset((
    "names", "description", "icon", "scenario", "examples", "confidence", "references", "because", "note", "table",
    "what", "document", "link", "licence", "title", "publisher", "others_see",
))
# fmt: on
NO_RULES = ASIDE_FILES | {
    "references.yaml"
}  # sources, and what other schemes publish: no ball depends on them
STARTS, ENDS = ("from", "open_on"), ("until", "close_on")
SUMS = ("energy", "avoided", "made_of", "figures")  # where a further line changes the result of the others
IDENTITIES = (("id",), ("region", "year", "from"), ("factor",), ("kind",), ("from_quantity",))

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One value of a file: what is written there, and the day from which it counts (None: since ever)."""

    text: str
    since: date | None


def edited(old: Mapping[str, str], new: Mapping[str, str], today: date) -> list[str]:
    """What `new` says otherwise than `old` of days up to today, one finding a value: file, path, was, is, fix.

    Both are files of sound rulebooks.
    """
    found: list[str] = []
    for name in sorted(old):
        if name in NO_RULES:
            continue
        before = dict(_leaves(_tree(old[name], name), (), None))
        if name not in new:
            begun = any(leaf.since is not None and leaf.since <= today for leaf in before.values())
            if begun:
                found.append(
                    f"{name}: the file is gone. Fix: keep it, and end what it says by a date "
                    "(in_force.until, close_on, or a value null)"
                )
            continue
        after = dict(_leaves(_tree(new[name], name), (), None))
        found += [f"{name}:{finding}" for finding in _compared(before, after, today)]
    return found


def _compared(before: Mapping[Place, _Leaf], after: Mapping[Place, _Leaf], today: date) -> Iterator[str]:
    for place in sorted(set(before) | set(after)):
        was, is_ = before.get(place), after.get(place)
        if was == is_ or (was is not None and is_ is not None and was.text == is_.text):
            continue
        if place[-1] in (*STARTS, *ENDS) and (len(place) == 1 or place[-2] == "in_force"):
            if _moves_the_past(place[-1], was, is_, today):
                yield _finding(place, was, is_, "name a day that has not come yet")
        elif was is not None:
            if was.since is None or was.since <= today:
                fix = "write the old value back, and the new one under a new date" if was.since else _LIKE_NEW
                yield _finding(place, was, is_, fix)
        elif is_ is not None and is_.since is not None:
            if is_.since < today:
                yield _finding(place, was, is_, f"date it on {today} or later")
        elif any(step in SUMS for step in place):
            yield _finding(place, was, is_, _LIKE_NEW)


_LIKE_NEW = "this has no date: leave it, and give what is to be otherwise an id of its own with a new date"


def _moves_the_past(key: str, was: _Leaf | None, is_: _Leaf | None, today: date) -> bool:
    """Whether a first or last day is set, moved or removed where that changes days that have come."""
    before, after = _day(was), _day(is_)
    if key in STARTS:
        return (before is not None and before <= today) or (after is not None and after < today)
    return any(day is not None and day < today for day in (before, after))


def _day(leaf: _Leaf | None) -> date | None:
    return date.fromisoformat(leaf.text) if leaf is not None and DAY.fullmatch(leaf.text) else None


def _finding(place: Place, was: _Leaf | None, is_: _Leaf | None, fix: str) -> str:
    told = [repr(leaf.text) if leaf is not None else "nothing" for leaf in (was, is_)]
    return f"{path_text(place)}: was {told[0][:80]}, is {told[1][:80]}. Fix: {fix}"


def _tree(text: str, name: str) -> Any:
    document, _ = parse_document(text.encode(), name)
    return document.tree if document is not None else None


def _leaves(tree: Any, place: Place, since: date | None) -> Iterator[tuple[Place, _Leaf]]:
    """All values that are no words, by where they stand; lines of lists are known by what identifies them."""
    if isinstance(tree, dict):
        own = tree.get("from")
        if place and place[-1] != "in_force" and isinstance(own, str) and DAY.fullmatch(own):
            since = date.fromisoformat(own)
        for key, inner in tree.items():
            if key not in WORDS:
                yield from _leaves(
                    inner, (*place, key), date.fromisoformat(key) if DAY.fullmatch(key) else since
                )
    elif isinstance(tree, list):
        for index, inner in enumerate(tree):
            yield from _leaves(inner, (*place, _identity(inner, index)), since)
    else:
        yield place, _Leaf(_plain(tree), since)


def _identity(item: Any, index: int) -> str:
    """What tells a line of a list from the others, wherever it stands."""
    if isinstance(item, dict):
        for names in IDENTITIES:
            if all(isinstance(item.get(name), str) for name in names):
                return "/".join(item[name] for name in names)
    return str(index)


def _plain(written: str | None) -> str:
    """A scalar as it compares: 5.0 is 5."""
    if written is None:
        return "null"
    if re.fullmatch(r"-?\d+\.\d+", written):
        return written.rstrip("0").rstrip(".")
    return written
