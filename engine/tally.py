"""Plain counts that the hot path keeps and `/metrics` reads: an addition each, no locks, no library."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

COMMANDS_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Spread:
    """How often a value was at most each bound, and the sum of all values."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, int]]:
        """(bound, how many values were at most that), the last bound `+Inf`."""
        found, so_far = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            so_far += count
            found.append((bound, so_far))
        return found


@dataclass(slots=True)
class WriterTally:
    """What the writer did since the start. `outcomes` counts by (command, ok | replayed | refusal code)."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    group_commands: Spread = field(default_factory=lambda: Spread(COMMANDS_BOUNDS))
    group_s: Spread = field(default_factory=lambda: Spread(SECONDS_BOUNDS))
    conflicts: int = 0


@dataclass(slots=True)
class HttpTally:
    """Requests since the start by (method, route, status)."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    seconds: Spread = field(default_factory=lambda: Spread(SECONDS_BOUNDS))


@dataclass(slots=True)
class JobTally:
    """Scheduled jobs since the start: runs by (job, outcome), and what they came to by name."""

    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
