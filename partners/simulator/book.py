"""The simulated NGO's own database: orders with their plans, messages that went out, faults. SQLite, one
connection.

Every change is one transaction; a restart goes on where it was.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from partners.simulator.plan import Faults, Step

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, reference TEXT NOT NULL, key TEXT NOT NULL, received_at INTEGER NOT NULL,
    request TEXT NOT NULL, steps TEXT NOT NULL, cancelled TEXT NOT NULL DEFAULT '', told INTEGER NOT NULL
    DEFAULT 0 );
CREATE INDEX IF NOT EXISTS orders_reference ON orders (reference);
CREATE TABLE IF NOT EXISTS faults (id INTEGER PRIMARY KEY CHECK (id = 1), content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, what TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, reference TEXT NOT NULL, about TEXT NOT NULL);
"""


@dataclass(slots=True)
class Order:
    """An order as the NGO keeps it. `told`: how many of its steps went out as messages."""

    id: int
    reference: str
    key: str
    received_at: int
    request: dict[str, Any]
    steps: list[Step]
    cancelled: str
    told: int

    @property
    def name(self) -> str:
        """The NGO's own order number."""
        return f"NGO-{self.id}"


class Book:
    """All that the NGO remembers."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA busy_timeout=5000")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def faults(self) -> Faults:
        """What goes wrong now."""
        row = self._db.execute("SELECT content FROM faults").fetchone()
        return Faults() if row is None else Faults().changed(json.loads(row[0]))

    def set_faults(self, faults: Faults) -> None:
        """From now on this goes wrong."""
        self._db.execute("INSERT OR REPLACE INTO faults VALUES (1, ?)", (json.dumps(faults.as_dict()),))

    def note_call(self, now: int, what: str) -> None:
        """Keep that a request came, for those who count them."""
        self._db.execute("INSERT INTO calls (at, what) VALUES (?, ?)", (now, what))

    def calls(self) -> list[str]:
        """All requests that came, in order."""
        return [what for (what,) in self._db.execute("SELECT what FROM calls ORDER BY id")]

    def next_order(self) -> int:
        """The id that the next order will have."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM orders").fetchone()[0])

    def add(self, key: str, now: int, request: dict[str, Any], steps: list[Step]) -> Order:
        """A new order."""
        number = self.next_order()
        self._db.execute(
            "INSERT INTO orders (id, reference, key, received_at, request, steps) VALUES (?, ?, ?, ?, ?, ?)",
            (number, request["reference"], key, now, json.dumps(request), _steps_text(steps)),
        )
        return Order(number, request["reference"], key, now, request, steps, "", 0)

    def by_key(self, key: str) -> Order | None:
        """The order that a request with this key made."""
        return self._one("key = ?", key)

    def by_reference(self, reference: str) -> Order | None:
        """The first order with the customer's reference."""
        return self._one("reference = ?", reference)

    def all(self) -> list[Order]:
        """All orders."""
        return [_order(row) for row in self._db.execute("SELECT * FROM orders ORDER BY id")]

    def untold(self) -> list[Order]:
        """Orders with steps that did not go out as messages yet."""
        rows = self._db.execute("SELECT * FROM orders WHERE told < json_array_length(steps) ORDER BY id")
        return [_order(row) for row in rows]

    def set_told(self, order: int, told: int) -> None:
        """So many steps went out."""
        self._db.execute("UPDATE orders SET told = ? WHERE id = ?", (told, order))

    def set_steps(self, order: int, steps: list[Step]) -> None:
        """The plan has changed."""
        self._db.execute("UPDATE orders SET steps = ? WHERE id = ?", (_steps_text(steps), order))

    def cancel(self, order: int, reason: str, steps: list[Step]) -> None:
        """The customer withdrew."""
        self._db.execute(
            "UPDATE orders SET cancelled = ?, steps = ?, told = ? WHERE id = ?",
            (reason or "withdrawn", _steps_text(steps), len(steps), order),
        )

    def add_note(self, reference: str, about: str) -> None:
        """A message of the customer."""
        self._db.execute("INSERT INTO notes (reference, about) VALUES (?, ?)", (reference, about))

    def notes(self, reference: str) -> list[str]:
        """The customer's messages about an order."""
        rows = self._db.execute("SELECT about FROM notes WHERE reference = ? ORDER BY id", (reference,))
        return [about for (about,) in rows]

    def _one(self, where: str, value: str) -> Order | None:
        row = self._db.execute(f"SELECT * FROM orders WHERE {where} ORDER BY id LIMIT 1", (value,)).fetchone()
        return None if row is None else _order(row)


def _order(row: tuple[Any, ...]) -> Order:
    number, reference, key, received_at, request, steps, cancelled, told = row
    plan = [Step(at, status) for at, status in json.loads(steps)]
    return Order(number, reference, key, received_at, json.loads(request), plan, cancelled, told)


def _steps_text(steps: list[Step]) -> str:
    return json.dumps([[step.at, step.status] for step in steps])
