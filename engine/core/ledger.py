"""The ledger: each event's movements as transfers from one account to another, in whole units of one asset.

Accounts are text, `kind` or `kind:reference`. Only `mint` may go below zero: what it lacks is what was issued.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.core import events as e

ENERGY = "energy"  # grams of the game
AVOIDED = "avoided"  # milligrams CO2e
TREE = "tree"  # one tree of a programme


class Transfer(NamedTuple):
    """One immutable movement: `amount` units of `asset` from `debit` to `credit`, and why."""

    debit: str
    credit: str
    asset: str
    amount: int
    reason: str


def money(currency: str) -> str:
    """The asset of a currency, counted in minor units."""
    return f"money:{currency}"


def transfers(event: object) -> list[Transfer]:
    """The movements that an event stands for; none for events that move nothing."""
    moves = MOVES.get(type(event))
    return [transfer for transfer in moves(event) if transfer.amount] if moves else []


def _accepted(event: e.ActivityAccepted) -> list[Transfer]:
    act = event.activity
    moves = [Transfer("mint", f"carbon:{act.user_id}", AVOIDED, act.avoided_mg, "accepted")]
    if event.ball is not None:
        moves.append(Transfer("mint", f"ball:{act.id}", ENERGY, act.energy_g, "accepted"))
        if event.is_late:
            moves.append(Transfer(f"ball:{act.id}", "expired", ENERGY, act.energy_g, "late"))
    return moves


def _revised(event: e.ActivityRevised) -> list[Transfer]:
    return [
        _signed("mint", f"ball:{event.id}", ENERGY, event.energy_delta_g),
        _signed("mint", f"carbon:{event.user}", AVOIDED, event.avoided_delta_mg),
    ]


def _signed(debit: str, credit: str, asset: str, amount: int) -> Transfer:
    """What grew is minted; what shrank is reversed, because nothing goes back into the mint."""
    if amount >= 0:
        return Transfer(debit, credit, asset, amount, "revised")
    return Transfer(credit, "reversed", asset, -amount, "revised")


def _reversed(event: e.ActivityReversed) -> list[Transfer]:
    return [
        Transfer(f"ball:{event.id}", "reversed", ENERGY, event.from_ball_g, "reversed"),
        Transfer("expired", "reversed", ENERGY, event.from_expired_g, "reversed"),
        Transfer(f"debt:{event.user}", "reversed", ENERGY, event.owed_g, "reversed"),
        Transfer(f"carbon:{event.user}", "reversed", AVOIDED, event.avoided_mg, "reversed"),
    ]


def _excluded(event: e.ActivityExcluded) -> list[Transfer]:
    reason = f"excluded:{event.id}"
    return [
        Transfer(f"ball:{event.id}", "reversed", ENERGY, event.from_ball_g, reason),
        Transfer(f"carbon:{event.user}", "reversed", AVOIDED, event.avoided_mg, reason),
    ]


def _restored(event: e.ActivityRestored) -> list[Transfer]:
    reason = f"restored:{event.id}"
    return [
        Transfer("mint", f"ball:{event.id}", ENERGY, event.energy_g, reason),
        Transfer("mint", f"carbon:{event.user}", AVOIDED, event.avoided_mg, reason),
    ]


def _collected(event: e.EnergyCollected) -> list[Transfer]:
    ball, gained_g = f"ball:{event.ball}", event.energy_g - event.repaid_g
    moves = [Transfer(ball, f"wallet:{event.collector}", ENERGY, gained_g, "collected")]
    if event.repaid_g:
        moves.append(Transfer(ball, f"debt:{event.collector}", ENERGY, event.repaid_g, "repaid"))
    return moves


def _expired(event: e.EnergyExpired) -> list[Transfer]:
    return [Transfer(f"ball:{event.ball}", "expired", ENERGY, event.energy_g, "expired")]


def _funded(event: e.ProgrammeFunded) -> list[Transfer]:
    made = event.commitment
    return [Transfer("mint", f"fund:{made.id}", money(made.currency), made.amount_minor, "funded")]


def _granted(event: e.StockGranted) -> list[Transfer]:
    return [Transfer("mint", f"stock:{event.programme}", TREE, event.trees, "granted")]


def _redeemed(event: e.TreeRedeemed) -> list[Transfer]:
    tree = event.tree
    fund = tree.commitment_id
    return [
        Transfer(f"wallet:{tree.user_id}", "redeemed", ENERGY, tree.energy_g, "redeemed"),
        Transfer(f"stock:{tree.programme}", f"sold:{tree.programme}", TREE, 1, "redeemed"),
        Transfer(
            f"fund:{fund}", f"committed:{fund}", money(event.currency), event.unit_price_minor, "redeemed"
        ),
    ]


def _withdrawn(event: e.TreeWithdrawn) -> list[Transfer]:
    wallet, fund = f"wallet:{event.user}", event.commitment
    return [
        Transfer("redeemed", wallet, ENERGY, event.energy_g - event.repaid_g, "withdrawn"),
        Transfer("redeemed", f"debt:{event.user}", ENERGY, event.repaid_g, "repaid"),
        Transfer(f"sold:{event.programme}", f"stock:{event.programme}", TREE, 1, "withdrawn"),
        Transfer(
            f"committed:{fund}", f"fund:{fund}", money(event.currency), event.unit_price_minor, "withdrawn"
        ),
    ]


# For each event that moves something its movements; those of nothing are among them.
MOVES: Mapping[type, Callable[[Any], list[Transfer]]] = {
    e.ActivityAccepted: _accepted,
    e.ActivityRevised: _revised,
    e.ActivityReversed: _reversed,
    e.ActivityExcluded: _excluded,
    e.ActivityRestored: _restored,
    e.EnergyCollected: _collected,
    e.EnergyExpired: _expired,
    e.ProgrammeFunded: _funded,
    e.StockGranted: _granted,
    e.TreeRedeemed: _redeemed,
    e.TreeWithdrawn: _withdrawn,
}
