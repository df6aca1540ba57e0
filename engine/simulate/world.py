"""One shard's game: the core's shelves in memory, its decide and evolve, and an auditor of its own transfers.

Memory is the database here: what is not on a shelf does not exist. No rule is told anew: every change is a command
that the core decides.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.game import EVOLVE, RULES
from engine.core.ledger import AVOIDED, ENERGY, MOVES, Transfer
from engine.core.rules import RuleBook
from engine.core.state import GAME_SHELVES, GameState, State

_DECIDE = {kind: rule.decide for kind, rule in RULES.items()}


class MemoryShelf(dict[Any, Any]):
    """Rows by key that are never saved, with the methods of `engine.core.state.Shelf`.

    Most are the dictionary's own, and it keeps no notes of what has changed: that took a fifth of a run.
    """

    __slots__ = ()

    edit = rewrite = dict.__getitem__
    peek = dict.get
    add = put = dict.__setitem__

    def remove(self, key: Any) -> None:
        """The row is gone, if there was one."""
        self.pop(key, None)

    def where(self, column: str, value: Any) -> list[Any]:
        """The rows whose column has the value; meant for shelves with few rows."""
        return [row for row in self.values() if getattr(row, column) == value]


class LawBroken(AssertionError):
    """The simulation's own books do not add up: a fault of the engine, never of the input."""


class _Parts(NamedTuple):
    """What is done with an event: the core evolves the rows, the auditor books, the shard counts."""

    evolve: Callable[[Any, Any], None]
    moves: Callable[[Any], list[Transfer]] | None
    count: Callable[[Any], None] | None


class World:
    """Commands in, events out. `counts` is told of events, by type; `next_id` is the id that the next row gets."""

    def __init__(self, rules: RuleBook, dice: bytes, counts: Mapping[type, Callable[[Any], None]]) -> None:
        self.shelves = {kind.name: MemoryShelf() for kind in GAME_SHELVES}
        state: Any = State(())
        state.__dict__.update(self.shelves)
        self.state: GameState = state
        self.rules = rules
        self.next_id = 0
        self.commands: Counter[type] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.books: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._energy = self.books[ENERGY]
        self._parts = {kind: _Parts(EVOLVE[kind], MOVES.get(kind), counts.get(kind)) for kind in EVOLVE}
        self._context = Context(0, rules, _draws(dice), lambda: self.next_id)

    def do(self, command: Any, now: int) -> Decision | None:
        """Decide and evolve one command at an instant; None where the core refuses it."""
        context = self._context
        context.now = now
        kind = type(command)
        self.commands[kind] += 1
        try:
            decision = _DECIDE[kind](self.state, command, context)
        except Rejected as refusal:
            self.refused[kind.__name__, refusal.code] += 1
            return None
        state, books = self.state, self.books
        for event in decision.events:
            evolve, moves, count = self._parts[type(event)]
            evolve(state, event)
            if moves is not None:
                for debit, credit, asset, amount, _ in moves(event):
                    book = books[asset]
                    book[debit] -= amount
                    book[credit] += amount
            if count is not None:
                count(event)
        return decision

    def forget_ball(self, ball: int) -> None:
        """Let go of a ball past its life: its account must be empty. Raises LawBroken."""
        account = f"ball:{ball}"
        left_g = self._energy.pop(account, 0)
        if left_g:
            raise LawBroken(f"{account} still holds {left_g} g after its end")
        self.state.balls.remove(ball)

    def audit(self) -> dict[str, int]:
        """Energy by kind of account; wallets, debts, carbon and balls agree with their rows. Raises LawBroken."""
        energy = self._energy
        for user in self.shelves["users"].values():
            self._agree(f"wallet:{user.id}", user.wallet_g)
            self._agree(f"debt:{user.id}", -user.debt_g)
            self._agree(f"carbon:{user.id}", user.avoided_mg, AVOIDED)
        for ball in self.shelves["balls"].values():
            self._agree(f"ball:{ball.id}", ball.remaining_g)
        kinds: Counter[str] = Counter()
        for account, amount in energy.items():
            kind = account.partition(":")[0]
            kinds[kind] += amount
            if amount < 0 and kind not in ("mint", "debt"):
                raise LawBroken(f"{account} is {amount} g, below zero")
        issued = -kinds["mint"]
        held = sum(kinds[kind] for kind in ("ball", "wallet", "redeemed", "expired", "reversed", "debt"))
        if issued != held:
            raise LawBroken(f"issued {issued} g, but the accounts hold {held} g")
        return {**kinds, "issued": issued}

    def _agree(self, account: str, in_row: int, asset: str = ENERGY) -> None:
        by_transfers = self.books[asset].get(account, 0)
        if by_transfers != in_row:
            unit = "g" if asset == ENERGY else "mg"
            raise LawBroken(f"{account}: {by_transfers} {unit} by transfers, {in_row} {unit} in its row")


def _draws(dice: bytes) -> Callable[[int, int], int]:
    """Draws that depend on the seed, the ball and the collector, and on nothing else."""
    blake2b, from_bytes = hashlib.blake2b, int.from_bytes
    return lambda ball, user: from_bytes(
        blake2b(b"%d|%d" % (ball, user), digest_size=8, key=dice).digest(), "big"
    )
