"""The partners' part of `saxaul check`: laws over the whole database, in constant memory, on one snapshot."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from engine.store.database import Reader
from partners.after_checks import AFTER_CHECKED, AFTER_LAWS, check_chain
from partners.quota_checks import audit_quotas

FOUND_MAX = 100
LINES_PER_QUERY = 50

Finding = tuple[str, str, str]

CHECKED: tuple[str, ...] = (
    "Every redeemed tree has a tree unit of the same programme and state, and every unit its tree.",
    "A unit is in the one line of its order, in at most one batch of it, and in none while it is pledged.",
    "In every line verified ≤ reported ≤ accepted with tolerance, accepted ≤ ordered; batches add up to it.",
    "Every order has a line and, once it was sent out, an outbox row for its submission.",
    "Every file of evidence belongs to a batch that exists.",
    *AFTER_CHECKED,
    "A quota's held, ordered and planted trees are those of its lines, and never more than it takes.",
    "A draft has trees and holds their places; a test order stands for no tree.",
    "A partner's agreement in force is its own and active; an order's agreement was made with its partner.",
    "A tree without a place says so to its user: since when, and when its energy comes back.",
    "Every assessment is of a batch, and every place has the outline that it says is in use.",
)


class Line(NamedTuple):
    """An order line as it is checked."""

    id: str
    order_id: int
    tolerance_pct: int
    ordered: int
    accepted: int
    reported: int
    verified: int
    units: list[int]


class _Law(NamedTuple):
    code: str
    place: str
    sql: str
    says: str


async def audit(view: Reader) -> AsyncIterator[Finding]:
    """Findings as (code, place, "expected …, found …"); at most `FOUND_MAX` of one law that is one query."""
    for law in (*_LAWS, *AFTER_LAWS):
        for row in await view.fetch(f"{law.sql} LIMIT {FOUND_MAX}"):
            yield law.code, f"{law.place} {row[0]}", law.says.format(*row)
    async for finding in check_chain(view):
        yield finding
    listed = 0
    async for finding in audit_quotas(view):
        yield finding
    async for line in _lines(view):
        listed += len(line.units)
        for finding in await _line(view, line):
            yield finding
    [(placed,)] = await view.fetch("SELECT count(*) FROM tree_units WHERE order_id IS NOT NULL")
    if placed != listed:
        yield "unit_outside_its_line", "all lines", f"expected {placed} units in lines, found {listed}"


async def _lines(view: Reader) -> AsyncIterator[Line]:
    sql = f"SELECT {', '.join(Line._fields)} FROM order_lines WHERE id > ? ORDER BY id LIMIT ?"
    last = ""
    while rows := await view.fetch(sql, last, LINES_PER_QUERY):
        for row in rows:
            yield Line(*row[:-1], units=json.loads(row[-1]))
        last = rows[-1][0]


async def _line(view: Reader, line: Line) -> list[Finding]:
    sql = "SELECT id, reported, verified, units FROM batches WHERE line_id = ? ORDER BY id"
    batches = await view.fetch(sql, line.id)
    rows = (
        await view.fetch("SELECT id, order_id FROM tree_units WHERE id IN ?", line.units)
        if line.units
        else []
    )
    orders = dict(rows)
    found = [("line_counters", says) for says in (*_counters(line), *_sums(line, batches))]
    found += _units(line, orders)
    planted = [number for row in batches for number in json.loads(row[3])]
    if len(set(planted)) != len(planted) or not set(planted) <= set(line.units):
        says = f"expected each unit of the line in at most one batch, found {planted}"
        found.append(("unit_in_two_batches", says))
    return [(code, f"line {line.id}", says) for code, says in found]


def _units(line: Line, orders: dict[int, int | None]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if len(set(line.units)) != len(line.units):
        found.append(("unit_twice_in_line", f"expected each unit once, found {line.units}"))
    for number in line.units:
        if number not in orders:
            found.append(("orphan_unit", f"expected unit {number} to exist, found none"))
        elif orders[number] != line.order_id:
            says = f"expected unit {number} in order {line.order_id}, found it in {orders[number]}"
            found.append(("unit_in_two_lines", says))
    return found


def _counters(line: Line) -> list[str]:
    most = line.accepted * (100 + line.tolerance_pct) // 100
    rules = (
        (line.accepted <= line.ordered, f"expected accepted ≤ ordered {line.ordered}, found {line.accepted}"),
        (line.reported <= most, f"expected reported ≤ {most}, found {line.reported}"),
        (line.verified <= line.reported, f"expected verified ≤ {line.reported}, found {line.verified}"),
    )
    return [says for holds, says in rules if not holds]


def _sums(line: Line, batches: list[tuple[Any, ...]]) -> list[str]:
    sums = {"reported": sum(row[1] for row in batches), "verified": sum(row[2] for row in batches)}
    return [
        f"expected {name} {getattr(line, name)} as in the line, found {total} in its batches"
        for name, total in sums.items()
        if total != getattr(line, name)
    ]


_LAWS = (
    _Law(
        "tree_without_unit",
        "tree",
        """SELECT t.id FROM trees t LEFT JOIN tree_units u ON u.id = t.id
           WHERE u.id IS NULL ORDER BY t.id""",
        "expected a tree unit, found none",
    ),
    _Law(
        "unit_without_tree",
        "unit",
        """SELECT u.id FROM tree_units u LEFT JOIN trees t ON t.id = u.id
           WHERE t.id IS NULL ORDER BY u.id""",
        "expected a redeemed tree, found none",
    ),
    _Law(
        "unit_and_tree_differ",
        "unit",
        """SELECT u.id, u.state, u.programme, t.state, t.programme
           FROM tree_units u JOIN trees t ON t.id = u.id
           WHERE u.state <> t.state OR u.programme <> t.programme ORDER BY u.id""",
        "expected the tree {1} of {2}, found it {3} of {4}",
    ),
    _Law(
        "unit_state",
        "unit",
        """SELECT id, state, order_id FROM tree_units
           WHERE (state = 'pledged' AND order_id IS NOT NULL)
             OR (state = 'withdrawn' AND (order_id IS NULL) <> (batch_id IS NULL))
             OR (state NOT IN ('pledged', 'withdrawn') AND order_id IS NULL) ORDER BY id""",
        "expected an order unless pledged or withdrawn before planting, found {1} with order {2}",
    ),
    _Law(
        "unit_without_order",
        "unit",
        """SELECT u.id, u.order_id FROM tree_units u LEFT JOIN partner_orders o ON o.id = u.order_id
           WHERE u.order_id IS NOT NULL AND o.id IS NULL ORDER BY u.id""",
        "expected order {1}, found none",
    ),
    _Law(
        "order_without_line",
        "order",
        """SELECT o.id FROM partner_orders o LEFT JOIN order_lines l ON l.order_id = o.id
           WHERE l.id IS NULL ORDER BY o.id""",
        "expected a line, found none",
    ),
    _Law(
        "order_without_delivery",
        "order",
        """SELECT o.id FROM partner_orders o LEFT JOIN deliveries d ON d.order_id = o.id AND d.kind = 'submit'
           WHERE d.id IS NULL AND (o.agreement = '' OR o.payload_hash <> '') ORDER BY o.id""",
        "expected an outbox row for its submission, found none",
    ),
    _Law(
        "assessment_without_batch",
        "batch",
        """SELECT a.batch_id FROM assessments a LEFT JOIN batches b ON b.id = a.batch_id
           WHERE b.id IS NULL ORDER BY a.batch_id""",
        "expected a batch for its assessment, found none",
    ),
    _Law(
        "outline_in_use",
        "place",
        """SELECT p.place, p.version FROM planted_places p LEFT JOIN site_outlines o
           ON o.place = p.place AND o.version = p.version
           WHERE p.version > 0 AND o.id IS NULL ORDER BY p.place""",
        "expected version {1} of its outline, found none",
    ),
    _Law(
        "evidence_without_batch",
        "evidence",
        """SELECT e.sha256, e.batch_id FROM evidence e LEFT JOIN batches b ON b.id = e.batch_id
           WHERE b.id IS NULL ORDER BY e.sha256""",
        "expected batch {1}, found none",
    ),
    _Law(
        "draft_sent_out",
        "order",
        """SELECT o.id FROM partner_orders o WHERE o.state = 'draft' AND o.payload_hash <> '' ORDER BY o.id""",
        "expected a draft that was never sent out, found the digest of what was",
    ),
    _Law(
        "test_order_with_trees",
        "order",
        """SELECT o.id FROM partner_orders o JOIN order_lines l ON l.order_id = o.id
           WHERE o.kind = 'test' AND (l.units <> '[]' OR l.quota <> '') ORDER BY o.id""",
        "expected a test order to stand for no tree, found some in its lines",
    ),
    _Law(
        "agreement_not_in_force",
        "partner",
        """SELECT p.id, p.agreement, a.status FROM partner_records p LEFT JOIN agreements a
           ON a.id = p.agreement AND a.partner = p.id
           WHERE p.agreement <> '' AND (a.id IS NULL OR a.status NOT IN ('active', 'ended')) ORDER BY p.id""",
        "expected its agreement {1} to be its own and active or ended, found {2}",
    ),
    _Law(
        "two_agreements_active",
        "partner",
        """SELECT partner, count(*) FROM agreements WHERE status = 'active'
           GROUP BY partner HAVING count(*) > 1 ORDER BY partner""",
        "expected one active agreement, found {1}",
    ),
    _Law(
        "order_without_agreement",
        "order",
        """SELECT o.id, o.agreement, o.partner FROM partner_orders o LEFT JOIN agreements a
           ON a.id = o.agreement AND a.partner = o.partner
           WHERE o.agreement <> '' AND a.id IS NULL ORDER BY o.id""",
        "expected agreement {1} with {2}, found none",
    ),
    _Law(
        "site_without_geometry",
        "site",
        """SELECT s.id, s.version FROM sites s LEFT JOIN site_versions v
           ON v.site = s.id AND v.version = s.version WHERE v.id IS NULL ORDER BY s.id""",
        "expected the geometry of version {1}, found none",
    ),
    _Law(
        "place_told_wrong",
        "unit",
        """SELECT u.id, u.unplaced_at, u.back_at, t.waits_since_at, t.energy_back_at
           FROM tree_units u JOIN trees t ON t.id = u.id
           WHERE u.state <> 'withdrawn' AND (coalesce(u.unplaced_at, -1) <> coalesce(t.waits_since_at, -1)
           OR coalesce(u.back_at, -1) <> coalesce(t.energy_back_at, -1)) ORDER BY u.id""",
        "expected its user to be told {1} and {2}, found {3} and {4}",
    ),
)
