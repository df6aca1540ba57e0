"""Energy becomes a tree: offers, what funds them, and what partners tell of redeemed trees."""

from collections.abc import Iterator
from datetime import date

from engine.core import campaigns
from engine.core.commands import AdvanceTrees, FundProgramme, GrantStock, RedeemOffer
from engine.core.context import Context
from engine.core.energy import active_user
from engine.core.errors import Rejected
from engine.core.events import Decision, ProgrammeFunded, StockGranted, TreeAdvanced, TreeRedeemed
from engine.core.numbers import tree_number
from engine.core.rules import Programme, RuleBook
from engine.core.state import By, Commitment, GameState, Stock, Touch, Tree, User
from engine.core.units import local_day


def today(context: Context) -> date:
    """The day of offers, funding and seasons, in UTC."""
    return local_day(context.now, "UTC")


def _programme(rules: RuleBook, programme: str) -> Programme:
    found = rules.programmes.get(programme)
    if found is None:
        raise Rejected("unknown_programme", programme=programme)
    return found


# --- funding and stock ----------------------------------------------------------------------------


def fund_touches(command: FundProgramme, state: GameState) -> Iterator[Touch]:
    yield Touch("stocks", command.programme)


def fund(state: GameState, command: FundProgramme, context: Context) -> Decision:
    _programme(context.rules, command.programme)
    if not 0 < command.unit_price_minor <= command.amount_minor:
        raise Rejected("bad_request", field="amount_minor", expected="at least one unit price")
    commitment = Commitment(
        id=context.new_id(),
        programme=command.programme,
        funder=command.funder,
        currency=command.currency,
        unit_price_minor=command.unit_price_minor,
        amount_minor=command.amount_minor,
        left_minor=command.amount_minor,
        committed_at=context.now,
    )
    covers = command.amount_minor // command.unit_price_minor
    reply: dict[str, object] = {"commitment": str(commitment.id), "covers": covers}
    return Decision([ProgrammeFunded(commitment, covers)], reply)


def funded(state: GameState, event: ProgrammeFunded) -> None:
    programme = event.commitment.programme
    if state.stocks.get(programme) is None:
        state.stocks.add(programme, Stock(programme, 0, 0, 0))
    state.stocks.rewrite(programme).covered += event.covers
    state.commitments.add(event.commitment.id, event.commitment)


def grant_touches(command: GrantStock, state: GameState) -> Iterator[Touch]:
    yield Touch("stocks", command.programme)


def grant(state: GameState, command: GrantStock, context: Context) -> Decision:
    _programme(context.rules, command.programme)
    if command.trees <= 0:
        raise Rejected("bad_request", field="trees", expected="at least 1")
    stock = state.stocks.get(command.programme)
    free = stock.covered - stock.stock - stock.sold if stock else 0
    if command.trees > free:
        raise Rejected("not_funded", covers_more=free)
    on_offer = (stock.stock if stock else 0) + command.trees
    return Decision([StockGranted(command.programme, command.trees)], {"stock": on_offer})


def granted(state: GameState, event: StockGranted) -> None:
    state.stocks.rewrite(event.programme).stock += event.trees


# --- redeeming ------------------------------------------------------------------------------------


def redeem_touches(command: RedeemOffer, state: GameState) -> Iterator[Touch]:
    yield Touch("users", command.user)
    yield Touch("stocks", command.offer)
    yield Touch("commitments", By("programme", command.offer))
    yield from campaigns.paying_touches(command.user, command.offer, state)


def redeem(state: GameState, command: RedeemOffer, context: Context) -> Decision:
    """One tree: energy out of the wallet, a tree out of the stock, its price out of a commitment."""
    user = active_user(state, command.user)
    made = new_tree(state, user, command.offer, user.wallet_g, context)
    return Decision([made], {"tree": made.tree.number, "wallet_g": user.wallet_g - made.tree.energy_g})


def new_tree(state: GameState, user: User, offer: str, wallet_g: int, context: Context) -> TreeRedeemed:
    """A tree of the offer for a user who then has that much in the wallet.

    Raises `unknown_offer`, `coming`, `sold_out`, `energy_lacking`, `not_funded`; see `campaigns` for who pays.
    """
    programme = context.rules_of(user.id).programmes.get(offer)
    price_g = programme.energy_g(today(context)) if programme else None
    if programme is None or price_g is None:
        raise Rejected("unknown_offer", offer=offer)
    if today(context) < programme.open_on:
        raise Rejected("coming", opens_on=programme.open_on.isoformat())
    stock = state.stocks.get(offer)
    closed = programme.close_on is not None and today(context) > programme.close_on
    if stock is None or stock.stock <= 0 or closed:
        raise Rejected("sold_out")
    if wallet_g < price_g:
        raise Rejected("energy_lacking", wallet_g=wallet_g, price_g=price_g)
    commitment, campaign_g = campaigns.paying(state, user.id, offer, price_g, context)
    tree_id = context.new_id()
    tree = Tree(
        id=tree_id,
        number=tree_number(tree_id),
        user_id=user.id,
        programme=programme.id,
        species=programme.species,
        commitment_id=commitment.id,
        energy_g=price_g,
        state="pledged",
        note="",
        redeemed_at=context.now,
        state_at=context.now,
    )
    return TreeRedeemed(tree, commitment.unit_price_minor, commitment.currency, campaign_g)


def redeemed(state: GameState, event: TreeRedeemed) -> None:
    tree = event.tree
    state.users.edit(tree.user_id).wallet_g -= tree.energy_g
    stock = state.stocks.rewrite(tree.programme)
    stock.stock -= 1
    stock.sold += 1
    state.commitments.rewrite(tree.commitment_id).left_minor -= event.unit_price_minor
    state.trees.add(tree.id, tree)
    if event.campaign_g:
        campaigns.use(state, event)


# --- what partners tell ---------------------------------------------------------------------------


def advance_touches(command: AdvanceTrees, state: GameState) -> Iterator[Touch]:
    for tree_id in command.trees:
        yield Touch("trees", tree_id)
        if tree_id in state.trees and (tree := state.trees.get(tree_id)) is not None:
            yield Touch("users", tree.user_id)


def advance(state: GameState, command: AdvanceTrees, context: Context) -> Decision:
    events: list[object] = []
    for tree_id in command.trees:
        tree = state.trees.get(tree_id)
        if tree is None:
            raise Rejected("unknown_tree", tree=str(tree_id))
        since_at = (tree.waits_since_at or context.now) if command.is_unplaced else None
        told = (command.state, command.note, since_at, command.energy_back_at)
        if told != (tree.state, tree.note, tree.waits_since_at, tree.energy_back_at):
            state_, note, since_at, back_at = told
            events.append(TreeAdvanced(tree_id, tree.user_id, state_, note, context.now, since_at, back_at))
    return Decision(events, {"advanced": len(events)})


def advanced(state: GameState, event: TreeAdvanced) -> None:
    tree = state.trees.rewrite(event.tree)
    tree.state, tree.note, tree.state_at = event.state, event.note, event.at
    tree.waits_since_at, tree.energy_back_at = event.waits_since_at, event.energy_back_at
