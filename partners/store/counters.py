"""The four counters of a programme, and nothing else: pledged, funded, planted, alive. From rows of events only.

pledged = redeemed and not withdrawn; funded = of these, covered by a commitment; planted = verified, as far as it is
ours, less what was written down by name; alive = verified × the rate of the last count that can be relied on, with
its days, trees counted and interval. What was never counted is not yet known. What replaces lost trees is no new tree.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from engine.store.database import Reader


@dataclass(slots=True)
class Alive:
    """How many live, in how many that were counted, and when and on how many trees that was seen."""

    trees: int = 0
    low: int = 0
    high: int = 0
    of_trees: int = 0
    counted: int = 0
    first_on: str = ""
    last_on: str = ""


@dataclass(slots=True)
class Counters:
    """The counters of one programme; `alive` None: no count yet."""

    pledged: int = 0
    funded: int = 0
    planted: int = 0
    written_down: int = 0
    alive: Alive | None = None

    @property
    def not_yet_known(self) -> int:
        """Planted trees of which nobody has counted how many live."""
        return self.planted - (self.alive.of_trees if self.alive else 0)


@dataclass(slots=True)
class _Batch:
    """A verified batch with its last count, and what was replanted in it."""

    id: str
    programme: str
    ours: int
    left: int
    verified_at: int
    parent: str | None
    alive: tuple[int, int, int] | None = None
    counted: int = 0
    counted_on: str = ""
    counted_at: int = 0
    children: list[_Batch] = field(default_factory=list)


async def counters(reader: Reader, programme: str | None = None) -> dict[str, Counters]:
    """The counters by programme: of one, or of all that have a tree."""
    found: dict[str, Counters] = defaultdict(Counters)
    where, params = ("AND u.programme = ?", (programme,)) if programme is not None else ("", ())
    pledged = await reader.fetch(
        f"""SELECT u.programme, count(*), count(c.id) FROM tree_units u
            LEFT JOIN trees t ON t.id = u.id LEFT JOIN commitments c ON c.id = t.commitment_id
            WHERE u.state <> 'withdrawn' {where} GROUP BY u.programme""",
        *params,
    )
    for name, trees, covered in pledged:
        found[name].pledged, found[name].funded = trees, covered
    for batch in await _batches(reader, programme):
        if batch.parent is None:
            _add(found[batch.programme], batch)
    return dict(found)


def facts(of: Counters) -> dict[str, Any]:
    """The counters as they are told in public."""
    alive = of.alive
    return {
        "pledged": of.pledged,
        "funded": of.funded,
        "planted": of.planted,
        "written_down": of.written_down,
        "alive": None
        if alive is None
        else {
            "trees": alive.trees,
            "low": alive.low,
            "high": alive.high,
            "of_trees": alive.of_trees,
            "trees_counted": alive.counted,
            "first_count_on": alive.first_on,
            "last_count_on": alive.last_on,
        },
        "not_yet_known": of.not_yet_known,
    }


def _add(found: Counters, batch: _Batch) -> None:
    left = batch.left
    found.planted += left
    found.written_down += batch.ours - left
    if batch.alive is None:
        return
    alive = found.alive = found.alive or Alive()
    standing = [min(left, mine + theirs) for mine, theirs in zip(batch.alive, _replanted(batch), strict=True)]
    alive.trees += standing[0]
    alive.low += standing[1]
    alive.high += standing[2]
    alive.of_trees += left
    alive.counted += batch.counted
    alive.first_on = min(filter(None, (alive.first_on, batch.counted_on)))
    alive.last_on = max(alive.last_on, batch.counted_on)


def _replanted(batch: _Batch) -> tuple[int, int, int]:
    """What was replanted after the last count of the batch, as far as its own counts say that it lives."""
    total = (0, 0, 0)
    for child in batch.children:
        if child.alive is not None and child.verified_at > batch.counted_at:
            later = _replanted(child)
            total = tuple(  # type: ignore[assignment]
                one + min(child.left, mine + theirs)
                for one, mine, theirs in zip(total, child.alive, later, strict=True)
            )
    return total


async def _batches(reader: Reader, programme: str | None) -> list[_Batch]:
    where, params = ("AND l.programme = ?", (programme,)) if programme is not None else ("", ())
    rows = await reader.fetch(
        f"""SELECT s.id, l.programme, s.verified * s.own_share_pct / 100,
                   (s.verified - s.written_down) * s.own_share_pct / 100,
                   COALESCE((SELECT max(r.at) FROM batch_reviews r WHERE r.batch_id = s.id), 0), p.batch_id
            FROM standings s JOIN batches b ON b.id = s.id JOIN order_lines l ON l.id = b.line_id
            JOIN partner_orders o ON o.id = s.order_id LEFT JOIN replacements p ON p.id = o.id
            WHERE s.state = 'verified' AND o.kind <> 'test' {where}""",
        *params,
    )
    batches = {row[0]: _Batch(*row) for row in rows}
    counts = await reader.fetch(
        f"""SELECT a.batch_id, a.n, a.alive, a.low_bp, a.high_bp, a.visited_on, a.done_at
            FROM audits a JOIN batches b ON b.id = a.batch_id JOIN order_lines l ON l.id = b.line_id
            JOIN partner_orders o ON o.id = a.order_id
            WHERE a.verdict IN ('in_band', 'below_band') AND o.kind <> 'test' {where}
            ORDER BY a.visited_on, a.done_at""",
        *params,
    )
    for name, counted, alive, low_bp, high_bp, on, at in counts:
        batch = batches[name]
        low = batch.ours * (low_bp or 0) // 10_000
        high = -(-batch.ours * (high_bp if high_bp is not None else 10_000) // 10_000)
        batch.alive = (batch.ours * alive // counted, low, high)
        batch.counted, batch.counted_on, batch.counted_at = counted, on, at
    for batch in batches.values():
        if batch.parent in batches:
            batches[batch.parent].children.append(batch)
    return list(batches.values())
