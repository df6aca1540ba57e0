"""What changes between two rulebooks, in the terms of the game: what, from which day, from what to what.

A value that changes on a day that is past was edited in place, which is told apart: acts of those days were booked by
what stood there. Pure: rulebooks and a day in, a list of changes out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any

from engine.core.rules import RuleBook
from engine.workbench.leaves import Leaf, Path, days_of, leaves, stretches, things

# What people read; it changes no number.
WORDING = {
    "names", "description", "icon", "scenario", "evidence", "boundary", "title", "publisher", "note", "table",
    "scientific", "what", "site", "document", "link", "licence", "date", "confirmed_on", "because", "reason", "contact",
}  # fmt: skip
CHOICES = {"grade", "kind", "counts_from", "ripens"}  # not words, wherever they stand
NOT_IN_FORCE, IN_FORCE = Leaf("not in force"), Leaf("in force")

Thing = tuple[str, str]
Pair = tuple[Leaf | None, Leaf | None]


@dataclass(frozen=True, slots=True)
class Change:
    """One value of one thing that changes.

    from_on: first day on which the two differ; until_on: first day on which they agree again (None: never).
    kind: `value`, `source` (the same number rests on something else) or `wording`. in_place: the day is past.
    followed_by: how many other things change in the same way because they take this value.
    """

    thing: str
    id: str
    path: str
    kind: str
    from_on: date
    until_on: date | None
    before: Leaf | None
    after: Leaf | None
    in_place: bool
    followed_by: int = 0

    @property
    def change_pct(self) -> Fraction | None:
        """By how much a number changes, in per cent of what it was."""
        before, after = self.before and self.before.number, self.after and self.after.number
        if before is None or after is None or not before or self.before is None or self.after is None:
            return None
        return (after - before) / before * 100 if self.before.unit == self.after.unit else None


@dataclass(frozen=True, slots=True)
class Presence:
    """A thing that only one of the rulebooks has. `since`: the first day of its values."""

    thing: str
    id: str
    names: Mapping[str, str]
    since: date | None
    in_place: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that changes from one rulebook to another, as seen on a day."""

    before_hash: str
    after_hash: str
    today: date
    added: tuple[Presence, ...]
    removed: tuple[Presence, ...]
    changes: tuple[Change, ...]
    names: Mapping[Thing, Mapping[str, str]] = field(default_factory=dict)

    def name(self, thing: str, id_: str, language: str) -> str:
        """What a thing is called in a language; its id where it has no name."""
        return self.names.get((thing, id_), {}).get(language, id_)

    @property
    def in_place(self) -> tuple[Change, ...]:
        """Values of days that are past."""
        return tuple(change for change in self.changes if change.in_place and change.kind == "value")

    @property
    def is_backdated(self) -> bool:
        """Whether anything of a day that is past would be another than it was."""
        return bool(self.in_place) or any(one.in_place for one in (*self.added, *self.removed))

    def touched(self, thing: str) -> set[str]:
        """Ids of things of a kind with a number or a choice that changes."""
        return {change.id for change in self.changes if change.thing == thing and change.kind == "value"}


def compare(before: RuleBook, after: RuleBook, today: date) -> Comparison:
    """Everything that differs, things in order of their kinds and ids."""
    left, right = ({(kind, name): thing for kind, name, thing in things(book)} for book in (before, after))
    common = [key for key in left if key in right]
    changes = [change for key in common for change in _changes(key, left[key], right[key], today)]
    return Comparison(
        before.hash,
        after.hash,
        today,
        added=tuple(_presence(key, right[key], today) for key in right if key not in left),
        removed=tuple(_presence(key, left[key], today) for key in left if key not in right),
        changes=tuple(_without_followers(changes)),
        names={key: getattr(thing, "names", {}) for key, thing in (left | right).items()},
    )


def settled_on(before: RuleBook, after: RuleBook, first: date) -> date:
    """The day on which the last value that changes begins to, or `first` where that is later or nothing changes."""
    comparison = compare(before, after, first)
    begun = [change.from_on for change in comparison.changes if change.kind == "value"]
    begun += [
        one.since
        for one in (*comparison.added, *comparison.removed)
        if one.since and one.thing != "reference"
    ]
    return max((first, *begun))


def _presence(key: Thing, thing: Any, today: date) -> Presence:
    """References and factors count for nothing by themselves; their use shows in what uses them."""
    history = getattr(thing, "history", None)
    first = min(days_of(thing) if history is None else history.days, default=None)
    in_place = first is not None and first < today and key[0] not in ("reference", "factor")
    return Presence(*key, getattr(thing, "names", {}), first, in_place)


def _changes(key: Thing, left: Any, right: Any, today: date) -> Iterator[Change]:
    """The values of one thing that differ, each with the days on which they do."""
    if left == right:
        return
    days = days_of(left) | days_of(right) or {today}
    runs: dict[Path, list[tuple[date, date | None, Pair]]] = {}
    for begins, ends in stretches(days):
        one, other = _both(left, right, begins)
        for path in dict.fromkeys((*one, *other)):
            pair = (one.get(path), other.get(path))
            if _kind(path, pair) is not None:
                _extend(runs.setdefault(path, []), begins, ends, pair)
    is_timeless = not (days_of(left) | days_of(right))
    for path, found in runs.items():
        for begins, ends, pair in found:
            kind = _kind(path, pair)
            assert kind is not None
            in_place = not is_timeless and begins < today
            yield Change(*key, ".".join(path), kind, begins, ends, *pair, in_place)


def _without_followers(changes: list[Change]) -> Iterator[Change]:
    """A behaviour that takes a ball value from the game changes with it: told once, at the game."""
    games = {
        (f"ball.{change.path}", change.from_on, change.before, change.after)
        for change in changes
        if change.thing == "game"
    }
    followers: dict[Any, int] = {}
    for change in changes:
        key = (change.path, change.from_on, _bare(change.before), _bare(change.after))
        if change.thing == "behaviour" and key in games:
            followers[key] = followers.get(key, 0) + 1
    for change in changes:
        key = (change.path, change.from_on, _bare(change.before), _bare(change.after))
        if change.thing == "behaviour" and key in games:
            continue
        count = followers.get((f"ball.{change.path}", *key[1:]), 0) if change.thing == "game" else 0
        yield replace(change, followed_by=count)


def _bare(leaf: Leaf | None) -> Leaf | None:
    return leaf and replace(leaf, confidence="", references=())


def _both(left: Any, right: Any, on: date) -> tuple[dict[Path, Leaf], dict[Path, Leaf]]:
    """What both say on a day; where only one is in force, that alone is the difference."""
    counts = [getattr(thing, "history", None) is None or thing.on(on) is not None for thing in (left, right)]
    if counts[0] != counts[1]:
        one, other = (IN_FORCE if counts_now else NOT_IN_FORCE for counts_now in counts)
        return {("in_force",): one}, {("in_force",): other}
    one, other = dict(_comparable(left, on)), dict(_comparable(right, on))
    return _collapsed(one, other), _collapsed(other, one)


def _collapsed(one: Mapping[Path, Leaf], other: Mapping[Path, Leaf]) -> dict[Path, Leaf]:
    """Values of one side; what is whole on this side only, such as an attribute, is one value with all that it says."""
    there = {path[:length] for path in other for length in range(1, len(path) + 1)}
    found: dict[Path, Leaf] = {}
    whole: dict[Path, list[str]] = {}
    for path, leaf in one.items():
        root = next((path[:length] for length in range(2, len(path)) if path[:length] not in there), None)
        if root is None or WORDING & set(path[: len(root)]):
            found[path] = leaf
        else:
            whole.setdefault(root, []).append(f"{'.'.join(path[len(root) :])} {leaf.shown()}")
    return found | {root: Leaf(", ".join(said)) for root, said in whole.items()}


def _comparable(thing: Any, on: date) -> Iterator[tuple[Path, Leaf]]:
    """The values of a day; of the caps those with sources, under one name."""
    for path, leaf in leaves(thing, on):
        if path[0] == "cap_values":
            yield ("caps", *path[1:]), leaf
        elif path[0] != "caps":
            yield path, leaf


def _extend(run: list[tuple[date, date | None, Pair]], begins: date, ends: date | None, pair: Pair) -> None:
    """Add a stretch, or lengthen the last one when it says the same up to there."""
    if run and run[-1][1] == begins and _same(run[-1][2], pair):
        run[-1] = (run[-1][0], ends, run[-1][2])
    else:
        run.append((begins, ends, pair))


def _same(one: Pair, other: Pair) -> bool:
    return all(
        (a is None and b is None) or (a is not None and a.same_value(b))
        for a, b in zip(one, other, strict=True)
    )


def _kind(path: Path, pair: Pair) -> str | None:
    """What a pair of values differs in; None when in nothing."""
    before, after = pair
    if before is None or not before.same_value(after):
        return "wording" if WORDING & set(path) and path[-1] not in CHOICES else "value"
    assert after is not None
    if (before.confidence, before.references) != (after.confidence, after.references):
        return "source"
    return None
