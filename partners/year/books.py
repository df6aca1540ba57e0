"""The audit at the end of the year, by sums of its own over the stored rows; it shares no reckoning with the core.

Money by currency, trees by place, the public counters against a count of events, and all that `saxaul check` looks at.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from engine.check import audit as check
from engine.store.database import Reader
from partners import checks
from partners.store.counters import counters, facts
from partners.year.tally import Stood, Tally
from partners.year.world import World

ACCOUNTS = ("held", "committed", "payable", "paid", "owed", "lost")
FINDINGS_TOLD_MAX = 20  # of one kind

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Books:
    """What the audit added up. `findings`: each says what was expected and what was found; none: all is well."""

    findings: list[str] = field(default_factory=list)
    entries: int = 0
    by_currency: dict[str, dict[str, int]] = field(default_factory=dict)
    by_partner: dict[str, dict[str, int]] = field(default_factory=dict)
    by_funder: dict[str, dict[str, int]] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    counters: dict[str, Any] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)

    def expect(self, what: str, expected: Any, found: Any) -> None:
        """A finding where the two differ."""
        if expected != found:
            self.tell(f"{what}: expected {expected}, found {found}")

    def tell(self, finding: str) -> None:
        """One finding; a great many of one kind say no more than a few."""
        kind = finding.partition(" ")[0]
        if sum(known.startswith(f"{kind} ") for known in self.findings) < FINDINGS_TOLD_MAX:
            self.findings.append(finding)

    def told(self) -> dict[str, Any]:
        """As plain data."""
        names = ("entries", "by_currency", "by_partner", "by_funder", "places", "counters", "checked")
        return {name: getattr(self, name) for name in names}


async def audit_books(world: World, progress: Progress) -> Books:
    """Go through everything; see the module."""
    books = Books()
    progress("audit", 0, 4)
    async with world.db.snapshot() as view:
        await _money(view, books)
        progress("audit", 1, 4)
        await _trees(view, world.tally, books)
        progress("audit", 2, 4)
        await _counters(view, world.tally, books)
    progress("audit", 3, 4)
    found = await check(world.db, world.rules, [(checks.CHECKED, checks.audit)])
    books.checked = {name: int(count) for name, count in found.counts.items() if count}
    for one in found.examples:
        books.tell(f"check, {one.code}, {one.place}: {one.about}")
    progress("audit", 4, 4)
    return books


# --- money --------------------------------------------------------------------------------------------------


async def _money(view: Reader, books: Books) -> None:
    """Double entry by currency, each fund by its entries, each order within what was committed to it."""
    funds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    left_funder: defaultdict[str, Counter[str]] = defaultdict(
        Counter
    )  # by currency: funder → out of its fund
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    funder_of = dict(await view.fetch("SELECT id, funder FROM commitments"))
    committed: Counter[int] = Counter()
    released: Counter[int] = Counter()
    async for entry in _entries(view):
        fund, order, commitment, kind, debit, credit, currency, amount = entry
        books.entries += 1
        totals[currency][debit] += amount
        totals[currency][credit] -= amount
        for account, sign in ((debit, 1), (credit, -1)):
            if account in ACCOUNTS:
                funds[fund][account] += sign * amount
            elif account == "funds":
                left_funder[currency][funder_of[commitment]] -= sign * amount
            else:
                funds[fund][f"exchange {currency}"] += sign * amount
        committed[order] += amount if debit == "committed" and kind == "commit" else 0
        released[order] += amount if kind == "release" else 0
    for currency, accounts in sorted(totals.items()):
        books.expect(f"{currency}: all accounts together", 0, sum(accounts.values()))
        books.by_currency[currency] = dict(sorted(accounts.items()))
    for order, amount in released.items():
        if amount > committed[order]:
            books.tell(f"order {order}: expected at most {committed[order]} released, found {amount}")
    await _funds(view, books, funds, left_funder)
    await _paid(view, books, released)


async def _entries(view: Reader) -> AsyncIterator[tuple[Any, ...]]:
    """Every entry, some thousands at a time."""
    after = ""
    columns = "id, fund_id, order_id, commitment_id, kind, debit, credit, currency, amount_minor"
    while rows := await view.fetch(
        f"SELECT {columns} FROM budget_entries WHERE id > ? ORDER BY id LIMIT 5000", after
    ):
        for row in rows:
            yield row[1:]
        after = rows[-1][0]


async def _funds(
    view: Reader, books: Books, funds: dict[str, Counter[str]], left_funder: dict[str, Counter[str]]
) -> None:
    """Balances as stored; what left the funders of a currency is what lies with partners, at what it cost them."""
    rows = await view.fetch(
        "SELECT id, partner, currency, price_currency, rate, cost_minor, held_minor, committed_minor, payable_minor,"
        " paid_minor, owed_minor, lost_minor FROM order_funds"
    )
    with_partners: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, partner, currency, price_currency, rate, cost, *balances in rows:
        by_entries = funds.pop(name, Counter())
        for account, stored in zip(ACCOUNTS, balances, strict=True):
            books.expect(f"fund {name}, {account}", by_entries[account], stored)
            if stored < 0:
                books.tell(f"fund {name}: expected {account} not below 0, found {stored}")
        backed = sum(balances[1:])
        if currency == price_currency:
            books.expect(f"fund {name}, cost", backed, cost)
        else:
            books.expect(f"fund {name}, exchanged {currency}", cost, by_entries[f"exchange {currency}"])
            books.expect(
                f"fund {name}, exchanged {price_currency}", -backed, by_entries[f"exchange {price_currency}"]
            )
            _at_rate(books, name, cost, backed, Fraction(json.loads(rate)["rate"]))
        with_partners[currency][partner] += balances[0] + cost
    for name in funds:
        books.tell(f"fund {name}: expected a row, found entries alone")
    for currency in sorted({*with_partners, *left_funder}):
        partners, funders = with_partners[currency], left_funder[currency]
        books.expect(
            f"{currency}: partners' sums and funders' sums", sum(partners.values()), sum(funders.values())
        )
        books.by_partner[currency] = dict(sorted(partners.items()))
        books.by_funder[currency] = dict(sorted(funders.items()))


def _at_rate(books: Books, name: str, cost: int, backed: int, rate: Fraction) -> None:
    """What was exchanged is worth the price at the snapshot, but for roundings of holds and returns."""
    worth = backed / rate
    if not worth - 4 <= cost <= worth + 4:
        books.tell(f"fund {name}: expected about {float(worth):.2f} at its rate, found {cost}")


async def _paid(view: Reader, books: Books, released: Counter[int]) -> None:
    """Bills that were paid, order by order, are the money that was released."""
    rows = await view.fetch(
        "SELECT order_id, sum(net_minor + tax_minor) FROM invoices WHERE state = 'paid' GROUP BY order_id"
    )
    by_bills = {order: int(amount) for order, amount in rows}
    for order in sorted({*by_bills, *(order for order, amount in released.items() if amount)}):
        books.expect(f"order {order}, paid bills", released[order], by_bills.get(order, 0))


# --- trees --------------------------------------------------------------------------------------------------


async def _trees(view: Reader, tally: Tally, books: Books) -> None:
    """Every redeemed tree is in exactly one place, and its user is told the same."""
    in_lines: Counter[int] = Counter()
    for (units,) in await view.fetch("SELECT units FROM order_lines"):
        in_lines.update(json.loads(units))
    in_batches: Counter[int] = Counter()
    for (units,) in await view.fetch("SELECT units FROM batches"):
        in_batches.update(json.loads(units))
    for what, found in (("lines", in_lines), ("batches", in_batches)):
        for tree, times in found.items():
            if times > 1:
                books.tell(f"tree {tree}: expected in one of all {what}, found in {times}")
    claimed = {unit for (unit,) in await view.fetch("SELECT unit FROM claims WHERE status = 'active'")}
    seen = 0
    places: Counter[str] = Counter()
    async for tree, state, shown, order, batch, order_state in _units(view):
        seen += 1
        places[_place(state, order, batch, order_state)] += 1
        if shown != state:
            books.tell(f"tree {tree}: expected {state} to be told, found {shown}")
        if (tree in in_lines) != (order is not None) or (tree in in_batches) != (batch is not None):
            books.tell(f"tree {tree}: expected in its line and batch, found {state} at {order}, {batch}")
        if (tree in claimed) != (state in ("verified", "established")):
            books.tell(f"tree {tree}: expected a claim if it is verified, found {state}")
        if tree not in tally.pledged:
            books.tell(f"tree {tree}: expected to have been redeemed")
    books.expect("trees that were redeemed", len(tally.pledged), seen)
    books.expect("trees in all places", len(tally.pledged), sum(places.values()))
    books.places = dict(sorted(places.items()))


def _place(state: str, order: int | None, batch: str | None, order_state: str | None) -> str:
    """Where a tree is: waiting, withdrawn, in a draft, in an order, in the ground, or written down there."""
    if order is None:
        return "withdrawn" if state == "withdrawn" else "waiting"
    if batch is None:
        return "in a draft" if order_state == "draft" else "in an order"
    return {"withdrawn": "written down", "planted": "reported planted"}.get(state, f"in the ground, {state}")


async def _units(view: Reader) -> AsyncIterator[tuple[Any, ...]]:
    after = -1
    sql = (
        "SELECT u.id, u.state, t.state, u.order_id, u.batch_id, o.state FROM tree_units u"
        " JOIN trees t ON t.id = u.id LEFT JOIN partner_orders o ON o.id = u.order_id"
        " WHERE u.id > ? ORDER BY u.id LIMIT 10000"
    )
    while rows := await view.fetch(sql, after):
        for row in rows:
            yield row
        after = rows[-1][0]


# --- counters -------------------------------------------------------------------------------------------------


async def _counters(view: Reader, tally: Tally, books: Books) -> None:
    """The four public counters, by programme, against those counted from events."""
    shown = {name: facts(one) for name, one in (await counters(view)).items()}
    for programme, told in sorted(shown.items()):
        counted = _recount(tally, programme)
        for name, expected in counted.items():
            alive = told["alive"] or {"trees": None}
            found = alive["trees"] if name == "alive" else told[name]
            books.expect(f"{programme}, {name}", expected, found)
    books.counters = shown


def _recount(tally: Tally, programme: str) -> dict[str, int | None]:
    """pledged, funded, planted, written down and alive of a programme, from events."""
    pledged = [
        unit for unit, name in tally.pledged.items() if name == programme and unit not in tally.withdrawn
    ]
    of_children = set(tally.children)
    firsts = {
        name: one
        for name, one in tally.batches.items()
        if one.programme == programme and one.order not in of_children
    }
    ours = {name: one.verified * one.share_pct // 100 for name, one in firsts.items()}
    left = {name: _left(tally, name, one) for name, one in firsts.items()}
    children: defaultdict[str, list[str]] = defaultdict(list)
    for name, one in tally.batches.items():
        if one.order in of_children:
            children[tally.children[one.order]].append(name)
    alive = [_alive(tally, children, name) for name, one in firsts.items() if one.count is not None]
    return {
        "pledged": len(pledged),
        "funded": sum(unit in tally.funded for unit in pledged),
        "planted": sum(left.values()),
        "written_down": sum(ours.values()) - sum(left.values()),
        "alive": sum(alive) if alive else None,
    }


def _left(tally: Tally, name: str, batch: Stood) -> int:
    return (batch.verified - tally.written_down.get(name, 0)) * batch.share_pct // 100


def _alive(tally: Tally, children: Mapping[str, list[str]], name: str) -> int:
    """What the last count found, and what was replanted since as far as it was counted itself."""
    batch = tally.batches[name]
    assert batch.count is not None and batch.count.done_at is not None
    own = batch.verified * batch.share_pct // 100
    found = own * batch.count.alive // batch.count.n
    for child in children.get(name, ()):
        other = tally.batches[child]
        if other.count is not None and other.at > batch.count.done_at:
            found += _alive(tally, children, child)
    return min(_left(tally, name, batch), found)
