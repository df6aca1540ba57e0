"""What happened in the year, by month, and the public counters once more, both counted from events alone.

It listens where events become rows and knows no table. A fact that can be told apart is kept under its name, so that
telling it twice changes no counter.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from engine.clock import Clock
from engine.core.events import TreeRedeemed
from engine.core.units import local_day
from engine.domain import Domain
from partners.core import after_events as a
from partners.core import events as e
from partners.core.after_rows import SurvivalAudit

TREES = (
    "pledged",
    "ordered",
    "confirmed",
    "planted",
    "verified",
    "lost",
    "replaced",
    "written down",
    "established",
    "waiting again",
    "energy back",
)
"""What happened to trees in a month: redeemed, in an order that went out, taken on, reported, verified, missing in a
count below its band, made good, written down, stood to the end, given up by a partner, given back to their users."""
ORDERS = (
    "submitted",
    "rejected",
    "expired",
    "cancelled",
    "held",
    "reminded",
    "escalated",
    "completed",
    "closed short",
)
MONEY = ("held", "committed", "released", "refunded", "written off")
_KINDS = {
    ("hold", "held"): "held",
    ("commit", "committed"): "committed",
    ("release", "paid"): "released",
    ("refund", "funds"): "refunded",
    ("write_off", "lost"): "written off",
}
"""Kind of entry and debited account → what it is called; where currencies differ an entry has a fellow that is not
counted again."""
_STATES = {"ordered", "confirmed", "planted", "verified", "established"}
_ENDS = {
    "rejected": "rejected",
    "expired": "expired",
    "cancelled": "cancelled",
    "completed": "completed",
    "closed_short": "closed short",
}


@dataclass(slots=True)
class Month:
    """A month's figures; money in minor units by currency. `released` is what was paid to partners."""

    trees: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    money: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


@dataclass(slots=True)
class Stood:
    """A batch as its reviews and counts left it."""

    programme: str
    order: int
    verified: int
    share_pct: int
    at: int
    count: SurvivalAudit | None = None


class Tally:
    """Counts what it is told by the domains that it taps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.months: defaultdict[str, Month] = defaultdict(Month)
        self.pledged: dict[int, str] = {}
        self.funded: dict[int, int] = {}
        self.withdrawn: set[int] = set()
        self.batches: dict[str, Stood] = {}
        self.written_down: dict[str, int] = {}
        self.children: dict[int, str] = {}  # order that replaces → batch whose trees it makes good
        self.missing: dict[int, int] = {}
        self._lines: dict[str, str] = {}
        self._programmes: dict[str, str] = {}
        self._told: dict[type, Callable[[Any], None]] = {
            TreeRedeemed: self._redeemed,
            e.UnitPledged: self._pledged,
            e.UnitsMoved: self._moved,
            e.UnitsReleased: self._released,
            e.UnitsWithdrawn: self._withdrawn,
            e.OrderSubmitted: self._submitted,
            e.OrderMoved: self._order_moved,
            e.OrderHeld: lambda event: self._order("held"),
            e.OrderFollowedUp: self._followed_up,
            e.BatchReported: self._reported,
            a.BatchReviewed: self._reviewed,
            a.AuditDone: self._counted,
            a.ReplacementOrdered: self._replacing,
            a.ReplacementEnded: self._replaced,
            a.TreesWrittenDown: self._written_down,
            a.MoneyMoved: self._money,
        }

    def tapped(self, domain: Domain) -> Domain:
        """The domain, told of here whenever one of its events becomes rows."""
        return replace(domain, evolve={kind: self._tap(kind, rule) for kind, rule in domain.evolve.items()})

    def _tap(self, kind: type, rule: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        told = self._told.get(kind)
        if told is None:
            return rule

        def both(state: Any, event: Any) -> None:
            told(event)
            rule(state, event)

        return both

    @property
    def _month(self) -> Month:
        return self.months[local_day(self._clock.now_ms(), "UTC").isoformat()[:7]]

    def _order(self, what: str) -> None:
        self._month.orders[what] += 1

    # --- trees ----------------------------------------------------------------------------------------

    def _redeemed(self, event: TreeRedeemed) -> None:
        self.funded[event.tree.id] = event.tree.commitment_id

    def _pledged(self, event: e.UnitPledged) -> None:
        self.pledged[event.unit] = event.programme
        self._month.trees["pledged"] += 1

    def _moved(self, event: e.UnitsMoved) -> None:
        if event.state in _STATES:
            self._month.trees[event.state] += len(event.units)
        elif event.state == "withdrawn":
            self.withdrawn.update(event.units)

    def _released(self, event: e.UnitsReleased) -> None:
        self._month.trees["waiting again"] += len(event.units)

    def _withdrawn(self, event: e.UnitsWithdrawn) -> None:
        self.withdrawn.update(event.units)
        self._month.trees["energy back"] += len(event.units)

    def _reported(self, event: e.BatchReported) -> None:
        self._programmes[event.batch.id] = self._lines[event.batch.line_id]

    def _reviewed(self, event: a.BatchReviewed) -> None:
        standing = event.standing
        if standing.state == "verified":
            programme = self._programmes[standing.id]
            self.batches[standing.id] = Stood(
                programme, standing.order_id, standing.verified, standing.own_share_pct, event.review.at
            )

    def _counted(self, event: a.AuditDone) -> None:
        audit = event.audit
        if audit.verdict not in ("in_band", "below_band"):
            return
        batch = self.batches[audit.batch_id]
        batch.count = audit
        if audit.verdict == "below_band":
            lost = max(1, batch.verified - batch.verified * audit.alive // audit.n)
            self._month.trees["lost"] += lost

    def _replacing(self, event: a.ReplacementOrdered) -> None:
        self.children[event.replacement.id] = event.replacement.batch_id
        self.missing[event.replacement.id] = event.replacement.trees

    def _replaced(self, event: a.ReplacementEnded) -> None:
        if event.state == "done":
            self._month.trees["replaced"] += self.missing[event.child]

    def _written_down(self, event: a.TreesWrittenDown) -> None:
        self.written_down[event.write_down.id] = event.write_down.trees
        self._month.trees["written down"] += event.write_down.trees

    # --- orders and money -------------------------------------------------------------------------------

    def _submitted(self, event: e.OrderSubmitted) -> None:
        self._order("submitted")
        for line in event.lines:
            self._lines[line.id] = line.programme

    def _order_moved(self, event: e.OrderMoved) -> None:
        if event.state in _ENDS:
            self._order(_ENDS[event.state])

    def _followed_up(self, event: e.OrderFollowedUp) -> None:
        if event.note == "reminded":
            self._order("reminded")
        if event.escalated_at == event.at:
            self._order("escalated")

    def _money(self, event: a.MoneyMoved) -> None:
        for entry in event.entries:
            name = _KINDS.get((entry.kind, entry.debit))
            if name is not None:
                self._month.money[entry.currency][name] += entry.amount_minor
