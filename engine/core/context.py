"""What a decision is handed from outside: the group's now, the rulebook, ids and draws."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from engine.core.canary import Canary
from engine.core.rules import Behaviour, RuleBook

DRAW_MAX = 2**64


@dataclass(slots=True)
class Context:
    """`draw(ball, collector)` is an integer below 2**64, the same whenever it is asked again that day.

    `rules` is the rulebook that is in force for all; what makes balls or prices offers asks `rules_of`, so that a
    user of the canary's share is decided by its rulebook. `earlier` finds a rulebook by the hash that a trace keeps.
    """

    now: int
    rules: RuleBook
    draw: Callable[[int, int], int]
    new_id: Callable[[], int]
    canary: Canary | None = None
    earlier: Callable[[str], RuleBook | None] = lambda rules_hash: None

    def rules_of(self, user: int) -> RuleBook:
        """The rulebook that is in force for the user."""
        canary = self.canary
        return canary.rules if canary is not None and canary.has(user) else self.rules

    def versions_of(self, behaviour: str) -> list[Behaviour]:
        """The behaviour as the rulebooks have it that are in force for anybody."""
        books = [self.rules] if self.canary is None else [self.rules, self.canary.rules]
        return [book.behaviours[behaviour] for book in books if behaviour in book.behaviours]

    def rules_made_by(self, trace: Mapping[str, object], user: int) -> RuleBook:
        """The rulebook that made a ball, by its trace; where it was not kept, the one in force for the user."""
        return self.earlier(str(trace.get("rules", ""))) or self.rules_of(user)


def spread(draw: int, low: int, high: int) -> int:
    """The draw mapped evenly into the whole numbers from `low` to `high`, both included."""
    return low + (draw * (high - low + 1) // DRAW_MAX)


@lru_cache(maxsize=65_536)
def ripening_offset_s(user: int, window_s: int) -> int:
    """The user's fixed place in the morning window, so that 07:00 is not one instant for everybody."""
    digest = hashlib.blake2b(b"ripening:%d" % user, digest_size=8).digest()
    return spread(int.from_bytes(digest), 0, window_s)
