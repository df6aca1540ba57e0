"""What is known of trees once they are reported planted, for pages, certificates and operators; each with a bound."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from engine.store.database import Reader, Select
from partners.core.after_rows import (
    AFTER_SHELVES,
    AuditEvent,
    BatchReview,
    BudgetEntry,
    Closing,
    Dispute,
    Disturbance,
    Invoice,
    MilestoneDue,
    OrderFund,
    Replacement,
    Standing,
    SurvivalAudit,
    WriteDown,
)
from partners.store.tables import MODELS

ROWS_MAX = 1000
DISTURBANCES_MAX = 20


@dataclass(frozen=True, slots=True)
class Stand:
    """The public facts of a tree's batch beyond its report: nothing about a person but who counted."""

    funder: str
    verified: int
    written_down: int
    replanted: int
    levels: tuple[int, ...]
    counts: tuple[SurvivalAudit, ...]
    next_count_from: str
    disturbances: tuple[Disturbance, ...]
    public_note: str


async def stand_facts(reader: Reader, funder: str, batch: str | None, order: int | None) -> Stand:
    """All that is known of a batch, in one go; of a tree without one, only who pays for it."""
    if batch is None or order is None:
        return Stand(funder, 0, 0, 0, (), (), "", (), "")
    standings, audits, replacements, write_downs, disturbances = await _all_of(
        reader,
        ("standings", Standing, "id", batch),
        ("audits", SurvivalAudit, "batch_id", batch),
        ("replacements", Replacement, "batch_id", batch),
        ("write_downs", WriteDown, "id", batch),
        ("disturbances", Disturbance, "order_id", order),
    )
    children = [("standings", Standing, "order_id", one.id) for one in replacements[:ROWS_MAX]]
    replanted = sum(one.verified for found in await _all_of(reader, *children) for one in found)
    planned = [audit.opens_on for audit in audits if audit.state == "planned"]
    counts = sorted((audit for audit in audits if audit.state == "done"), key=lambda row: row.visited_on)
    standing = standings[0] if standings else None
    befell = [one for one in disturbances if one.batch_id in ("", batch)]
    return Stand(
        funder=funder,
        verified=standing.verified if standing else 0,
        written_down=standing.written_down if standing else 0,
        replanted=replanted,
        levels=tuple(sorted(int(level) for level in standing.levels)) if standing else (),
        counts=tuple(counts),
        next_count_from=min(planned, default=""),
        disturbances=tuple(befell[:DISTURBANCES_MAX]),
        public_note=write_downs[0].note if write_downs else "",
    )


Wish = tuple[str, type, str, int | str]  # table, row, column, its value


async def _all_of(reader: Reader, *wishes: Wish) -> list[list[Any]]:
    """Rows of several tables with one question, each table's by id."""
    if not wishes:
        return []
    steps = [
        Select(MODELS[table].__table__, _COLUMNS[row], (column,), [value])  # type: ignore[attr-defined]
        for table, row, column, value in wishes
    ]
    found = await reader.run(steps)
    return [
        sorted((_row(row, values) for values in rows), key=lambda one: one.id)
        for (_, row, _, _), rows in zip(wishes, found, strict=True)
    ]


_OF_ORDER: dict[str, tuple[type, str]] = {
    "standings": (Standing, "order_id"),
    "batch_reviews": (BatchReview, "order_id"),
    "audits": (SurvivalAudit, "order_id"),
    "replacements": (Replacement, "parent_id"),
    "closings": (Closing, "id"),
    "write_downs": (WriteDown, "order_id"),
    "disputes": (Dispute, "order_id"),
    "disturbances": (Disturbance, "order_id"),
    "order_funds": (OrderFund, "order_id"),
    "budget_entries": (BudgetEntry, "order_id"),
    "milestones": (MilestoneDue, "order_id"),
    "invoices": (Invoice, "order_id"),
}


async def order_stands(reader: Reader, order: int) -> dict[str, list[Any]] | None:
    """Everything that followed `planted` in an order, for operators; None: there is no such order."""
    if not await reader.fetch("SELECT 1 FROM partner_orders WHERE id = ?", order):
        return None
    return {
        table: await rows_of(reader, table, row, column, order) for table, (row, column) in _OF_ORDER.items()
    }


async def late(reader: Reader, now: int, today: str, planted_before: int) -> dict[str, list[dict[str, Any]]]:
    """What waits for a person for too long: reviews (those planted before `planted_before`), counts, disputes, answers
    to what was asked, bills."""
    queries: dict[str, tuple[str, tuple[str, ...], tuple[int | str, ...]]] = {
        "reviews": (
            "SELECT id, fact_at FROM partner_orders WHERE state = 'planted' AND fact_at < ? ORDER BY fact_at",
            ("order", "planted_at"),
            (planted_before,),
        ),
        "audits": (
            "SELECT order_id, id, due_on FROM audits WHERE state = 'planned' AND due_on < ? ORDER BY due_on",
            ("order", "audit", "due_on"),
            (today,),
        ),
        "disputes": (
            """SELECT order_id, id, state, answer_by_at, decide_by_at FROM disputes WHERE state <> 'decided'
               AND ((state = 'open' AND answer_by_at < ?) OR decide_by_at < ?) ORDER BY decide_by_at""",
            ("order", "dispute", "state", "answer_by_at", "decide_by_at"),
            (now, now),
        ),
        "answers": (
            """SELECT order_id, id, fix_by_at FROM standings WHERE state = 'needs_info' AND fix_by_at < ?
               ORDER BY fix_by_at""",
            ("order", "batch", "fix_by_at"),
            (now,),
        ),
        "invoices": (
            "SELECT order_id, id, due_on FROM invoices WHERE state = 'received' AND due_on < ? ORDER BY due_on",
            ("order", "invoice", "due_on"),
            (today,),
        ),
    }
    return {
        name: [
            dict(zip(columns, row, strict=True)) for row in await reader.fetch(f"{sql} LIMIT 200", *params)
        ]
        for name, (sql, columns, params) in queries.items()
    }


async def set_aside_for_waiting(reader: Reader) -> list[tuple[str, str, int, int]]:
    """(programme, currency, set aside for a tree, trees) of all trees that wait for an order."""
    rows = await reader.fetch(
        """SELECT u.route, c.currency, c.unit_price_minor, count(*) FROM tree_units u
           JOIN trees t ON t.id = u.id JOIN commitments c ON c.id = t.commitment_id
           WHERE u.state = 'pledged' GROUP BY u.route, c.currency, c.unit_price_minor
           ORDER BY u.route, c.currency, c.unit_price_minor"""
    )
    return [(route, currency, price, count) for route, currency, price, count in rows]


async def audit_lines(reader: Reader, after: int, limit: int) -> list[AuditEvent]:
    """Sealed lines of the audit log behind a place."""
    columns = ", ".join(_COLUMNS[AuditEvent])
    rows = await reader.fetch(
        f"SELECT {columns} FROM audit_events WHERE place > ? ORDER BY place LIMIT ?", after, limit
    )
    return [AuditEvent(*row) for row in rows]


async def chain_head(reader: Reader) -> dict[str, Any]:
    """Where the chain ends, and how many lines wait to be sealed."""
    [(place, own)] = await reader.fetch("SELECT place, hash FROM chain_heads")
    [(waiting,)] = await reader.fetch("SELECT count(*) FROM audit_events WHERE place IS NULL")
    return {"place": place, "hash": own, "not_sealed": waiting}


async def rows_of(
    reader: Reader, table: str, row: type, column: str, value: int | str, limit: int = ROWS_MAX
) -> list[Any]:
    """Rows of a table as the core knows them."""
    columns = _COLUMNS[row]
    rows = await reader.fetch(
        f"SELECT {', '.join(columns)} FROM {table} WHERE {column} = ? ORDER BY id LIMIT {limit}", value
    )
    return [_row(row, found) for found in rows]


def _row(row: type, values: tuple[Any, ...]) -> Any:
    return row(
        *(
            json.loads(part) if name in _JSON[row] else part
            for name, part in zip(_COLUMNS[row], values, strict=True)
        )
    )


_COLUMNS: dict[type, tuple[str, ...]] = {
    kind.row: tuple(field.name for field in fields(kind.row)) for kind in AFTER_SHELVES
}
_JSON: dict[type, frozenset[str]] = {
    kind.row: frozenset(
        field.name for field in fields(kind.row) if str(field.type).startswith(("list", "dict"))
    )
    for kind in AFTER_SHELVES
}
