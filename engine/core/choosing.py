"""A tree without a place: its user may wait on, take the energy back, or switch to another offer.

Nothing is edited: a withdrawn tree stays on record, its energy, its stock and its money go back by transfers, and a
switch is a withdrawal and a redemption in one decision. When the rules say how long a tree may wait at most, the
energy comes back by itself.
"""

from collections.abc import Iterator

from engine.core import campaigns
from engine.core.commands import ChooseForTree, RedeemOffer, WithdrawTrees
from engine.core.context import Context
from engine.core.energy import active_user
from engine.core.errors import Rejected
from engine.core.events import Decision, TreeKept, TreeWithdrawn
from engine.core.redeem import new_tree, redeem_touches, today
from engine.core.state import GameState, Touch, Tree, User
from engine.core.units import DAY_MS

CHOICES = ("switch", "wait", "energy_back")


def choose_touches(command: ChooseForTree, state: GameState) -> Iterator[Touch]:
    """The tree with what it was made of and, for a switch, what the other tree is made of."""
    yield Touch("users", command.user)
    yield from _tree_touches(command.tree, state)
    if command.offer is not None:
        yield from redeem_touches(RedeemOffer(command.key, command.user, command.offer), state)


def choose(state: GameState, command: ChooseForTree, context: Context) -> Decision:
    """Raises `unknown_tree` (also another user's), `not_waiting`, `bad_request`, and what redeeming raises."""
    user = active_user(state, command.user)
    tree = state.trees.get(command.tree)
    if tree is None or tree.user_id != user.id:
        raise Rejected("unknown_tree")
    if tree.state != "pledged" or tree.waits_since_at is None:
        raise Rejected("not_waiting", state=tree.state)
    if command.choice == "wait":
        return _wait(tree, user, context)
    if command.choice == "energy_back":
        gone = _withdrawn(state, tree, "energy_back:chosen", context)
        reply: dict[str, object] = {"tree": tree.number, "wallet_g": _wallet_after(user, gone)}
        return Decision([gone], reply)
    if command.choice != "switch":
        raise Rejected("bad_request", field="choice", expected=", ".join(CHOICES))
    if command.offer is None or command.offer == tree.programme:
        raise Rejected("bad_request", field="offer", expected="another offer to switch to")
    wallet_g = _wallet_after(user, _withdrawn(state, tree, "", context))
    made = new_tree(state, user, command.offer, wallet_g, context)
    gone = _withdrawn(state, tree, f"switched:{made.tree.number}", context)
    told: dict[str, object] = {"tree": made.tree.number, "wallet_g": wallet_g - made.tree.energy_g}
    return Decision([gone, made], told)


def withdraw_touches(command: WithdrawTrees, state: GameState) -> Iterator[Touch]:
    """The trees, their users, and what they were made of."""
    for tree_id in command.trees:
        yield from _tree_touches(tree_id, state)


def withdraw(state: GameState, command: WithdrawTrees, context: Context) -> Decision:
    """Partners give trees up: their energy goes back. What is withdrawn already changes nothing.

    Raises `unknown_tree`, `not_waiting`.
    """
    events: list[object] = []
    for tree_id in command.trees:
        tree = state.trees.get(tree_id)
        if tree is None:
            raise Rejected("unknown_tree", tree=str(tree_id))
        if tree.state == "withdrawn":
            continue
        if tree.state != "pledged":
            raise Rejected("not_waiting", tree=tree.number, state=tree.state)
        events.append(_withdrawn(state, tree, command.note, context))
    return Decision(events, {"withdrawn": len(events)})


def withdrawn(state: GameState, event: TreeWithdrawn) -> None:
    """The tree is no more; what it was made of is back where it came from."""
    tree = state.trees.rewrite(event.tree)
    tree.state, tree.note, tree.state_at = "withdrawn", event.note, event.at
    tree.waits_since_at = tree.energy_back_at = None
    user = state.users.edit(event.user)
    user.wallet_g += event.energy_g - event.repaid_g
    user.debt_g -= event.repaid_g
    stock = state.stocks.rewrite(event.programme)
    stock.stock += 1
    stock.sold -= 1
    state.commitments.rewrite(event.commitment).left_minor += event.unit_price_minor
    if event.campaign_g:
        campaigns.give_back(state, event)


def kept(state: GameState, event: TreeKept) -> None:
    """The tree waits on."""
    state.trees.rewrite(event.tree).energy_back_at = event.energy_back_at


def _wait(tree: Tree, user: User, context: Context) -> Decision:
    programme = context.rules.programmes.get(tree.programme)
    days = programme.energy_back_d(today(context)) if programme is not None else None
    back_at = None if days is None else context.now + days * DAY_MS
    events: list[object] = []
    if back_at != tree.energy_back_at:
        events.append(TreeKept(tree.id, user.id, back_at, context.now))
    return Decision(events, {"tree": tree.number, "wallet_g": user.wallet_g})


def _withdrawn(state: GameState, tree: Tree, note: str, context: Context) -> TreeWithdrawn:
    user, commitment = state.users[tree.user_id], state.commitments[tree.commitment_id]
    return TreeWithdrawn(
        tree=tree.id,
        user=tree.user_id,
        programme=tree.programme,
        commitment=commitment.id,
        energy_g=tree.energy_g,
        repaid_g=min(user.debt_g, tree.energy_g),
        unit_price_minor=commitment.unit_price_minor,
        currency=commitment.currency,
        note=note,
        at=context.now,
        campaign_g=campaigns.freed_g(state, commitment.id, tree.user_id, tree.energy_g),
    )


def _wallet_after(user: User, gone: TreeWithdrawn) -> int:
    return user.wallet_g + gone.energy_g - gone.repaid_g


def _tree_touches(tree_id: int, state: GameState) -> Iterator[Touch]:
    yield Touch("trees", tree_id)
    tree = state.trees.get(tree_id) if tree_id in state.trees else None
    if tree is not None:
        yield Touch("users", tree.user_id)
        yield Touch("stocks", tree.programme)
        yield Touch("commitments", tree.commitment_id)
        yield Touch("campaign_uses", (tree.commitment_id, tree.user_id))
