"""The partners' domain as the writer wants it, and where it meets the game: a redeemed tree becomes a
unit, and what happens to units advances trees, each in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from engine.core import commands as game
from engine.core.choosing import withdraw_touches
from engine.core.context import Context as EngineContext
from engine.core.events import Decision, TreeKept, TreeRedeemed, TreeWithdrawn
from engine.core.game import Rule
from engine.core.numbers import order_number
from engine.core.redeem import advance_touches
from engine.core.state import Touch
from engine.domain import Domain
from engine.store.mapping import shelf_table
from partners.adapters.rest import mapping
from partners.core import after_commands as ac
from partners.core import after_events as a
from partners.core import api_commands as api
from partners.core import commands as c
from partners.core import decide as core
from partners.core import events as e
from partners.core.after_terms import Funding
from partners.core.context import Context
from partners.core.deliveries import delivery_key
from partners.core.evolve import EVOLVE
from partners.core.model import PARTNER_SHELVES, PartnerTerms
from partners.standard import standard_terms, with_standard
from partners.store.tables import MODELS
from partners.terms import terms_reader

NOT_TOLD = (c.PledgeUnit, c.KeepUnit, c.WithdrawUnit)
"""What the game itself has caused: it knows already."""

PARTNER_TABLES = {kind.name: shelf_table(kind, MODELS[kind.name]) for kind in PARTNER_SHELVES}


def partners_domain(partners: Iterable[PartnerTerms] = ()) -> Domain:
    """The domain with the terms of these partners; one that is missing has the default terms."""
    known = {terms.partner: with_standard(terms) for terms in partners}
    terms_of = terms_reader(known)

    def decide(state: Any, command: Any, context: EngineContext) -> Decision:
        terms = terms_of(context.rules, context.now)
        funding = _funding(state)
        return core.decide(
            state, command, Context(context.now, context.new_id, terms, known, funding, standard_terms())
        )

    rule = Rule(touches, decide)
    return Domain(
        name="partners",
        shelves=PARTNER_SHELVES,
        tables=PARTNER_TABLES,
        rules=dict.fromkeys(core.COMMANDS, rule),
        evolve=EVOLVE,
        reactions={
            TreeRedeemed: _pledge,
            TreeKept: _keep,
            TreeWithdrawn: _withdraw,
            e.UnitsMoved: _advance,
            e.UnitsReleased: _release,
            a.UnitsReplaced: _tell,
            e.UnitsUnplaced: _unplace,
            e.UnitsWithdrawn: _give_up,
            e.OrderSubmitted: lambda event: [ac.HoldBudget(None, event.order.id)],
            e.LineAccepted: _commit,
            e.OrderMoved: _reach,
            a.StagePassed: lambda event: [ac.ReachMilestone(None, event.order, event.stage)],
            e.DeliveryQueued: _announce,
            a.MilestoneReached: _fell_due,
            a.InvoiceSettled: lambda event: [api.AnnounceSettled(None, event.invoice)],
            a.ClosingApproved: lambda event: [
                ac.WriteOffBudget(None, event.order, event.lost, "closed_short")
            ],
        },
    )


def touches(command: Any, state: Any) -> Iterator[Touch]:
    """What the core touches, and the game's trees of the units: so all locks are taken together, in order."""
    if isinstance(command, c.PledgeUnit) and command.unit in state.trees.added:
        return  # a tree that was redeemed just now has no unit: not looked for, as that would cost a query each
    units: list[int] = []
    for touch in core.touches(command, state):
        if touch.shelf == "tree_units":
            units.append(touch.key)
        yield touch
    if not units or isinstance(command, NOT_TOLD):
        return
    if isinstance(command, c.GiveUpUnits):
        yield from withdraw_touches(game.WithdrawTrees(tuple(units), ""), state)
    else:
        yield from advance_touches(game.AdvanceTrees(tuple(units), ""), state)
        yield from _commitments(units, state)


def _commitments(units: list[int], state: Any) -> Iterator[Touch]:
    """What paid for these trees."""
    trees = (state.trees.get(unit) for unit in units if unit in state.trees)
    for number in sorted({tree.commitment_id for tree in trees if tree is not None}):
        yield Touch("commitments", number)


def _funding(state: Any) -> Callable[[int], Funding | None]:
    """What paid for a tree, by the game's rows: the one thing that partners need to know of it."""

    known: dict[int, Funding] = {}

    def funding_of(unit: int) -> Funding | None:
        tree = state.trees.peek(unit)
        if tree is None:
            return None
        if tree.commitment_id not in known:
            paid = state.commitments.peek(tree.commitment_id)
            if paid is None:
                return None
            known[paid.id] = Funding(paid.id, paid.unit_price_minor, paid.currency)
        return known[tree.commitment_id]

    return funding_of


def _pledge(event: TreeRedeemed) -> list[object]:
    return [c.PledgeUnit(None, event.tree.id, event.tree.programme)]


def _keep(event: TreeKept) -> list[object]:
    return [c.KeepUnit(None, event.tree, event.energy_back_at)]


def _withdraw(event: TreeWithdrawn) -> list[object]:
    return [c.WithdrawUnit(None, event.tree, event.note)]


def _advance(event: e.UnitsMoved) -> list[object]:
    return [game.AdvanceTrees(event.units, event.state, event.note)]


def _release(event: e.UnitsReleased) -> list[object]:
    note = f"{event.note}:{event.season}" if event.season else event.note
    told: list[object] = [game.AdvanceTrees(event.units, "pledged", note)]
    if event.order is not None:
        told.append(ac.ReturnBudget(None, event.order, event.units, event.note, event.line))
    return told


def _unplace(event: e.UnitsUnplaced) -> list[object]:
    return [game.AdvanceTrees(event.units, "pledged", event.why, True, event.back_at)]


def _give_up(event: e.UnitsWithdrawn) -> list[object]:
    """What was held for them went back when they left their last order."""
    return [game.WithdrawTrees(event.units, event.note)]


def _tell(event: a.UnitsReplaced) -> list[object]:
    return [game.AdvanceTrees(event.units, "verified", event.note)]


def _commit(event: e.LineAccepted) -> list[object]:
    return [ac.CommitBudget(None, int(event.line.partition("-")[0]), event.line)]


def _announce(event: e.DeliveryQueued) -> list[object]:
    """What leaves for a partner is told to its endpoints too, whatever adapter it has."""
    row = event.delivery
    told = mapping.of_delivery(row.kind, row.order_id, row.payload)
    if told is None:
        return []
    name = mapping.event_of(told[0], delivery_key(row))
    return [api.AnnounceEvent(None, row.destination, told[0], row.order_id, name, told[1])]


def _fell_due(event: a.MilestoneReached) -> list[object]:
    due = event.due
    data = {
        "order": order_number(due.order_id),
        "milestone": due.milestone,
        "currency": due.currency,
        "amount_minor": due.amount_minor,
    }
    return [api.AnnounceEvent(None, "", "payment.due", due.order_id, f"due:{due.id}", data)]


def _reach(event: e.OrderMoved) -> list[object]:
    if event.state in ("accepted", "planted", "verified", "completed"):
        return [ac.ReachMilestone(None, event.order, event.state)]
    return []
