"""The money of orders in double entry: held, committed, payable, paid, or back with the funder; to the cent.

Every entry moves an amount from the credited to the debited account, in one currency. `funds` (the funder's
commitment) and `exchange` (where currencies differ) keep no balance; the others are kept per line and commitment,
each at or above zero, so nothing is ever paid that was not committed. Rounding: a part of an amount is rounded down,
what is held in another currency up; an amount is split by largest remainder, ties to the older commitment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import after_events as a
from partners.core.after_commands import (
    CommitBudget,
    HoldBudget,
    ReachMilestone,
    RecordRepayment,
    ReturnBudget,
    WriteOffBudget,
)
from partners.core.after_rows import BudgetEntry, MilestoneDue, OrderFund
from partners.core.after_terms import Rate
from partners.core.context import Context
from partners.core.funding import cost_minor, is_covered
from partners.core.guards import after_of
from partners.core.model import OrderLine, PartnerState, PlantingOrder, line_id
from partners.core.orders import the_order

BALANCES: Mapping[str, str] = {
    "held": "held_minor",
    "committed": "committed_minor",
    "payable": "payable_minor",
    "paid": "paid_minor",
    "owed": "owed_minor",
    "lost": "lost_minor",
}
"""Account → the field of `OrderFund` that holds its balance."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What one commitment must hold for some trees of an order, in its own currency."""

    commitment: int
    trees: int
    amount_minor: int
    currency: str
    rate: Rate | None


def budget_hold_guard(
    state: PartnerState,
    units: Iterable[int],
    unit_price_minor: int,
    currency: str,
    partner: str,
    context: Context,
) -> list[Hold]:
    """What an order of these trees holds, by commitment; changes nothing.

    Raises `not_funded` naming the first tree whose commitment set aside less than its price (or in a currency of
    which no rate is known), or whose money may be held already because it does not wait.
    """
    counted: Counter[tuple[int, str]] = Counter()
    for unit in units:
        row, funding = state.tree_units.get(unit), context.funding_of(unit)
        waits = row is not None and row.state in ("pledged", "allocated")
        if not waits or funding is None or not is_covered(unit, unit_price_minor, currency, partner, context):
            raise Rejected("not_funded", tree=unit, unit_price_minor=unit_price_minor, currency=currency)
        counted[funding.commitment, funding.currency] += 1
    return _holds(counted, unit_price_minor, currency, partner, context)


def hold_budget(state: PartnerState, command: HoldBudget, context: Context) -> Decision:
    """The money of a submitted order's trees is held. An order whose trees' funding is unknown holds nothing."""
    order, events = the_order(state, command.order), list[object]()
    for name in order.lines:
        line = state.order_lines[name]
        counted: Counter[tuple[int, str]] = Counter()
        for unit in line.units:
            if is_covered(unit, line.unit_price_minor, line.currency, order.partner, context):
                funding = context.funding_of(unit)
                assert funding is not None
                counted[funding.commitment, funding.currency] += 1
        holds = _holds(counted, line.unit_price_minor, line.currency, order.partner, context)
        events += [_held(order, line, hold, context.now) for hold in holds]
    return Decision(events)


def commit_budget(state: PartnerState, command: CommitBudget, context: Context) -> Decision:
    """The money of the accepted trees of a line is committed to the partner; the rest stays held for now."""
    order, line = the_order(state, command.order), state.order_lines[command.line]
    taken = _by_commitment(line.units[: line.accepted], context)
    events: list[object] = []
    for fund in funds_of(state, order, line.id):
        trees = min(taken.get(fund.commitment_id, 0), fund.held_trees)
        if trees:
            book = Book(fund, context.now, "accepted")
            book.commit(trees)
            events.append(book.event())
    return Decision(events)


def return_budget(state: PartnerState, command: ReturnBudget, context: Context) -> Decision:
    """The money of trees that left the order: what is held or not yet invoiced goes back, what was paid is owed."""
    order, gone = the_order(state, command.order), _by_commitment(command.units, context)
    events: list[object] = []
    for fund in funds_of(state, order, command.line or line_id(order.id)):
        trees = gone.get(fund.commitment_id, 0)
        if trees:
            book = Book(fund, context.now, command.reason)
            from_held = min(trees, fund.held_trees)
            book.unhold(from_held)
            book.uncommit(min(trees - from_held, fund.trees))
            if book.fund != fund:  # also without an entry: what is billed and not paid yet is settled later
                events.append(book.event())
    return Decision(events)


def write_off_budget(state: PartnerState, command: WriteOffBudget, context: Context) -> Decision:
    """The books of an order that is closed short: the rest goes back, the share of the lost trees is a loss."""
    order = the_order(state, command.order)
    verified = sum(state.order_lines[name].verified for name in order.lines)
    events: list[object] = []
    for fund in funds_of(state, order):
        book = Book(fund, context.now, command.reason)
        book.back("committed", fund.committed_minor)
        book.move("write_off", "lost", "paid", fund.paid_minor * command.lost // max(1, verified))
        if book.entries:
            events.append(book.event())
    return Decision(events)


def reach_milestone(state: PartnerState, command: ReachMilestone, context: Context) -> Decision:
    """What hangs on a trigger falls due, once; at the end everything that has not yet."""
    order = the_order(state, command.order)
    funds = funds_of(state, order)
    price = sum(fund.committed_minor + fund.payable_minor + fund.paid_minor for fund in funds)
    done = {due.milestone: due.amount_minor for due in state.milestones.where("order_id", order.id)}
    events: list[object] = []
    share_pct = 0
    for milestone in after_of(state, order, context).milestones if funds else ():
        is_reached = milestone.trigger == command.trigger or command.trigger == "completed"
        if milestone.id not in done and is_reached:
            done[milestone.id] = max(0, price * (share_pct + milestone.pct) // 100 - sum(done.values()))
            name = milestone_id(order.id, milestone.id)
            amount = done[milestone.id]
            currency = funds[0].price_currency
            due = MilestoneDue(name, order.id, milestone.id, currency, amount, 0, context.now)
            events.append(a.MilestoneReached(due))
        share_pct += milestone.pct if milestone.id in done else 0
    return Decision(events)


def record_repayment(state: PartnerState, command: RecordRepayment, context: Context) -> Decision:
    """What a partner owed came back. Raises `unknown_order`, `over_repaid`."""
    order = the_order(state, command.order)
    funds = funds_of(state, order)
    owed = [fund.owed_minor for fund in funds]
    if not 0 < command.amount_minor <= sum(owed):
        raise Rejected("over_repaid", owed_minor=sum(owed), amount_minor=command.amount_minor)
    events: list[object] = []
    for fund, amount in zip(funds, split(command.amount_minor, owed), strict=True):
        if amount:
            book = Book(fund, context.now, command.reason)
            book.back("owed", amount)
            events.append(book.event())
    return Decision(events, {"owed_minor": sum(owed) - command.amount_minor})


# --- one fund's book ------------------------------------------------------------------------------


class Book:
    """Entries of one decision in one order's fund, and the balances that they leave."""

    def __init__(self, fund: OrderFund, now: int, reason: str) -> None:
        self.fund = replace(fund)
        self.entries: list[BudgetEntry] = []
        self._now = now
        self._reason = reason[:200]

    def event(self) -> a.MoneyMoved:
        """What is told of it."""
        return a.MoneyMoved(self.fund, self.entries)

    def move(self, kind: str, debit: str, credit: str, amount_minor: int, of_fund: bool = False) -> None:
        """One entry in the partner's currency, or in the funder's."""
        if amount_minor == 0:
            return
        fund = self.fund
        fund.entries += 1
        for account, sign in ((debit, 1), (credit, -1)):
            if account in BALANCES:
                name = BALANCES[account]
                setattr(fund, name, getattr(fund, name) + sign * amount_minor)
        self.entries.append(
            BudgetEntry(
                id=f"{fund.id}/{fund.entries}",
                fund_id=fund.id,
                order_id=fund.order_id,
                commitment_id=fund.commitment_id,
                partner=fund.partner,
                kind=kind,
                debit=debit,
                credit=credit,
                currency=fund.currency if of_fund else fund.price_currency,
                amount_minor=amount_minor,
                rate=fund.rate.get("rate", ""),
                reason=self._reason,
                at=self._now,
            )
        )

    def hold(self, amount_minor: int) -> None:
        """Out of the fund, for trees of a submitted order."""
        self.move("hold", "held", "funds", amount_minor, of_fund=True)

    def commit(self, trees: int) -> None:
        """What is held for so many trees now belongs to the partner's order, at its price."""
        fund = self.fund
        cost = fund.held_minor * trees // fund.held_trees
        worth = trees * fund.price_minor
        fund.held_trees -= trees
        fund.trees += trees
        fund.cost_minor += cost
        if not fund.rate:
            self.move("commit", "committed", "held", worth)
            return
        self.move("commit", "exchange", "held", cost, of_fund=True)
        self.move("commit", "committed", "exchange", worth)

    def unhold(self, trees: int) -> None:
        """What is held for so many trees goes back."""
        fund = self.fund
        if trees:
            self.move("refund", "funds", "held", fund.held_minor * trees // fund.held_trees, of_fund=True)
            fund.held_trees -= trees

    def uncommit(self, trees: int) -> None:
        """The price of so many trees goes back as far as it is not invoiced; what was paid for them is owed."""
        fund = self.fund
        price = trees * fund.price_minor
        fund.trees -= trees
        free = min(price, fund.committed_minor)
        self.back("committed", free)
        fund.excess_minor += price - free
        self.settle_excess()

    def settle_excess(self) -> None:
        """What was paid beyond the price that is left is owed back."""
        fund = self.fund
        owed = min(fund.excess_minor, fund.paid_minor)
        fund.excess_minor -= owed
        self.move("refund", "owed", "paid", owed)

    def refund_excess(self) -> None:
        """What a rejected bill freed goes back as far as its trees have left."""
        free = min(self.fund.excess_minor, self.fund.committed_minor)
        self.fund.excess_minor -= free
        self.back("committed", free)

    def back(self, account: str, amount_minor: int) -> None:
        """An amount of one of the partner's accounts goes back to the fund, at what it cost the fund."""
        fund = self.fund
        if amount_minor == 0:
            return
        names = ("committed_minor", "payable_minor", "paid_minor", "owed_minor", "lost_minor")
        backed = sum(getattr(fund, name) for name in names)
        cost = fund.cost_minor * amount_minor // backed
        fund.cost_minor -= cost
        if not fund.rate:
            self.move("refund", "funds", account, amount_minor)
            return
        self.move("refund", "exchange", account, amount_minor)
        self.move("refund", "funds", "exchange", cost, of_fund=True)


# --- small parts ----------------------------------------------------------------------------------


def fund_id(line: str, commitment: int) -> str:
    """The id of what a commitment has to do with a line of an order."""
    return f"{line}/{commitment}"


def milestone_id(order: int, milestone: str) -> str:
    """The id of a milestone of an order."""
    return f"{order}/{milestone}"


def funds_of(state: PartnerState, order: PlantingOrder, line: str = "") -> list[OrderFund]:
    """The funds of the order or of one of its lines, older commitments first."""
    found = [
        fund
        for fund in state.order_funds.where("order_id", order.id)
        if not line or fund.id == fund_id(line, fund.commitment_id)
    ]
    return sorted(found, key=lambda fund: (fund.commitment_id, fund.id))


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """The amount in whole parts by weight, by largest remainder; ties to the first. The parts add up to it."""
    total = sum(weights)
    parts = [amount * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda place: (-(amount * weights[place] % total), place))
    for place in order[: amount - sum(parts)]:
        parts[place] += 1
    return parts


def _holds(
    counted: Mapping[tuple[int, str], int], price_minor: int, currency: str, partner: str, context: Context
) -> list[Hold]:
    holds = []
    for (commitment, own), trees in sorted(counted.items()):
        rate = None if own == currency else context.partner_terms(partner).after.rate(own, currency)
        price = trees * price_minor
        if price:
            holds.append(Hold(commitment, trees, cost_minor(price, rate) if rate else price, own, rate))
    return holds


def _held(order: PlantingOrder, line: OrderLine, hold: Hold, now: int) -> a.MoneyMoved:
    snapshot = {} if hold.rate is None else _snapshot(hold.rate)
    fund = OrderFund(
        id=fund_id(line.id, hold.commitment),
        order_id=order.id,
        commitment_id=hold.commitment,
        partner=order.partner,
        currency=hold.currency,
        price_currency=line.currency,
        price_minor=line.unit_price_minor,
        held_trees=hold.trees,
        trees=0,
        held_minor=0,
        cost_minor=0,
        committed_minor=0,
        payable_minor=0,
        paid_minor=0,
        owed_minor=0,
        lost_minor=0,
        excess_minor=0,
        entries=0,
        rate=snapshot,
    )
    book = Book(fund, now, "submitted")
    book.hold(hold.amount_minor)
    return book.event()


def _snapshot(rate: Rate) -> dict[str, str]:
    return {"of": rate.of, "into": rate.into, "rate": rate.rate, "on": rate.on, "source": rate.source}


def _by_commitment(units: Iterable[int], context: Context) -> Counter[int]:
    found = (context.funding_of(unit) for unit in units)
    return Counter(funding.commitment for funding in found if funding is not None)
