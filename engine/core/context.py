"""What a decision is handed from outside: the group's now, the rulebook, ids and draws."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from engine.core.rules import RuleBook

DRAW_MAX = 2**64


@dataclass(slots=True)
class Context:
    """`draw(ball, collector)` is an integer below 2**64, the same whenever it is asked again that day."""

    now: int
    rules: RuleBook
    draw: Callable[[int, int], int]
    new_id: Callable[[], int]


def spread(draw: int, low: int, high: int) -> int:
    """The draw mapped evenly into the whole numbers from `low` to `high`, both included."""
    return low + (draw * (high - low + 1) // DRAW_MAX)


def ripening_offset_s(user: int, window_s: int) -> int:
    """The user's fixed place in the morning window, so that 07:00 is not one instant for everybody."""
    digest = hashlib.blake2b(b"ripening:%d" % user, digest_size=8).digest()
    return spread(int.from_bytes(digest), 0, window_s)
