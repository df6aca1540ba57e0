"""The host's clock, which a demo or a test may shift. Decisions never read it: they are handed the group's now."""

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """`shift_ms` is added to every reading, also to those of the database's clock."""

    shift_ms: int = 0

    def now_ms(self) -> int:
        """The instant now, shifted."""
        return time.time_ns() // 1_000_000 + self.shift_ms

    def group_now_ms(self, shared_ms: int | None) -> int:
        """A group's now: by the clock that all processes share, where the database has one, else by the host's."""
        return self.now_ms() if shared_ms is None else shared_ms + self.shift_ms
