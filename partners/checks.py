"""The partners' part of `saxaul check`: laws over the whole database, in constant memory, on one read
snapshot."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from engine.store.database import Reader

FOUND_MAX = 100
LINES_PER_QUERY = 50

Finding = tuple[str, str, str]

CHECKED: tuple[str, ...] = (
    "Every redeemed tree has a tree unit of the same programme and state, and every unit its tree.",
    "A unit is in the one line that it names, in at most one batch of it, and in none while it is pledged.",
    "In every line verified ≤ reported ≤ accepted with tolerance, accepted ≤ ordered; its batches add up to it.",
    "Every order has a line and an outbox row for its submission.",
    "Every file of evidence belongs to a batch that exists.",
)


async def audit(view: Reader) -> AsyncIterator[Finding]:
    """Findings as (code, place, "expected …, found …")."""
    for code, place, sql, says in _LAWS:
        for row in await view.fetch(f"{sql} LIMIT {FOUND_MAX}"):
            yield code, f"{place} {row[0]}", says.format(*row)
    listed = 0
    async for line in _lines(view):
        listed += len(line["units"])
        async for finding in _line(view, line):
            yield finding
    [(placed,)] = await view.fetch("SELECT count(*) FROM tree_units WHERE order_id IS NOT NULL")
    if placed != listed:
        yield "unit_outside_its_line", "all lines", f"expected {placed} units in lines, found {listed}"


async def _lines(view: Reader) -> AsyncIterator[dict[str, Any]]:
    last = ""
    names = ("id", "order_id", "tolerance_pct", "ordered", "accepted", "reported", "verified", "units")
    while True:
        rows = await view.fetch(
            f"SELECT {', '.join(names)} FROM order_lines WHERE id > ? ORDER BY id LIMIT ?",
            last,
            LINES_PER_QUERY,
        )
        for row in rows:
            line = dict(zip(names, row, strict=True))
            line["units"] = json.loads(line["units"])
            yield line
        if len(rows) < LINES_PER_QUERY:
            return
        last = rows[-1][0]


async def _line(view: Reader, line: dict[str, Any]) -> AsyncIterator[Finding]:
    place = f"line {line['id']}"
    batches = await view.fetch(
        "SELECT id, reported, verified, units FROM batches WHERE line_id = ? ORDER BY id", line["id"]
    )
    for problem in (*_counters(line), *_sums(line, batches)):
        yield "line_counters", place, problem
    units = line["units"]
    found = (
        dict(await view.fetch("SELECT id, order_id FROM tree_units WHERE id IN ?", units)) if units else {}
    )
    if len(set(units)) != len(units):
        yield "unit_twice_in_line", place, f"expected {len(set(units))} units, found {len(units)}"
    for number in units:
        if number not in found:
            yield "orphan_unit", place, f"expected unit {number} to exist, found none"
        elif found[number] != line["order_id"]:
            says = f"expected unit {number} in order {line['order_id']}, found it in {found[number]}"
            yield "unit_in_two_lines", place, says
    planted = [number for row in batches for number in json.loads(row[3])]
    if len(set(planted)) != len(planted) or not set(planted) <= set(units):
        yield (
            "unit_in_two_batches",
            place,
            f"expected each of {len(units)} units at most once, found {planted}",
        )


def _counters(line: dict[str, Any]) -> list[str]:
    ordered, accepted, reported, verified = (
        line[name] for name in ("ordered", "accepted", "reported", "verified")
    )
    most = accepted * (100 + line["tolerance_pct"]) // 100
    rules = (
        (accepted <= ordered, f"expected accepted ≤ ordered {ordered}, found {accepted}"),
        (reported <= most, f"expected reported ≤ {most}, found {reported}"),
        (verified <= reported, f"expected verified ≤ reported {reported}, found {verified}"),
    )
    return [says for holds, says in rules if not holds]


def _sums(line: dict[str, Any], batches: list[tuple[Any, ...]]) -> list[str]:
    sums = {"reported": sum(row[1] for row in batches), "verified": sum(row[2] for row in batches)}
    return [
        f"expected {name} {line[name]} from batches, found {total}"
        for name, total in sums.items()
        if total != line[name]
    ]


_LAWS: tuple[tuple[str, str, str, str], ...] = (
    (
        "tree_without_unit",
        "tree",
        "SELECT t.id FROM trees t LEFT JOIN tree_units u ON u.id = t.id WHERE u.id IS NULL ORDER BY t.id",
        "expected a tree unit, found none",
    ),
    (
        "unit_without_tree",
        "unit",
        "SELECT u.id FROM tree_units u LEFT JOIN trees t ON t.id = u.id WHERE t.id IS NULL ORDER BY u.id",
        "expected a redeemed tree, found none",
    ),
    (
        "unit_and_tree_differ",
        "unit",
        "SELECT u.id, u.state, u.programme, t.state, t.programme FROM tree_units u JOIN trees t ON t.id = u.id"
        " WHERE u.state <> t.state OR u.programme <> t.programme ORDER BY u.id",
        "expected the tree {1} of {2}, found it {3} of {4}",
    ),
    (
        "unit_state",
        "unit",
        "SELECT id, state, order_id FROM tree_units"
        " WHERE (state = 'pledged') <> (order_id IS NULL) ORDER BY id",
        "expected an order unless pledged, found {1} with order {2}",
    ),
    (
        "unit_without_order",
        "unit",
        "SELECT u.id, u.order_id FROM tree_units u LEFT JOIN partner_orders o ON o.id = u.order_id"
        " WHERE u.order_id IS NOT NULL AND o.id IS NULL ORDER BY u.id",
        "expected order {1}, found none",
    ),
    (
        "order_without_line",
        "order",
        "SELECT o.id FROM partner_orders o LEFT JOIN order_lines l ON l.order_id = o.id WHERE l.id IS NULL"
        " ORDER BY o.id",
        "expected a line, found none",
    ),
    (
        "order_without_delivery",
        "order",
        "SELECT o.id FROM partner_orders o LEFT JOIN deliveries d ON d.order_id = o.id AND d.kind = 'submit'"
        " WHERE d.id IS NULL ORDER BY o.id",
        "expected an outbox row for its submission, found none",
    ),
    (
        "evidence_without_batch",
        "evidence",
        "SELECT e.sha256, e.batch_id FROM evidence e LEFT JOIN batches b ON b.id = e.batch_id"
        " WHERE b.id IS NULL ORDER BY e.sha256",
        "expected batch {1}, found none",
    ),
)
