"""How often a password may be tried: by account, and by address. In memory of one process, bounded."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

FREE_TRIES = 5
FIRST_WAIT_MS = 30_000
WAIT_MS_MAX = 15 * 60_000
FORGET_MS = 60 * 60_000
ADDRESS_TRIES = 100
"""Failures from one address within an hour: many people may sit behind one."""

NAMES_MAX = 10_000


@dataclass(slots=True)
class _Tries:
    count: int = 0
    last_at: int = 0


@dataclass(slots=True)
class Throttle:
    """Failures by name; after the free ones each doubles the wait. A success forgets an account's failures."""

    _tries: OrderedDict[str, _Tries] = field(default_factory=OrderedDict)

    def wait_ms(self, account: str, address: str, now: int) -> int:
        """How long until this account may be tried from this address; 0: now."""
        waits = [self._wait(f"account:{account}", FREE_TRIES, now)]
        waits.append(self._wait(f"address:{address}", ADDRESS_TRIES, now))
        return max(waits)

    def failed(self, account: str, address: str, now: int) -> None:
        """A wrong password, or nobody of that id."""
        for name in (f"account:{account}", f"address:{address}"):
            known = self._fresh(name, now) or _Tries()
            known.count, known.last_at = known.count + 1, now
            self._tries[name] = known
            self._tries.move_to_end(name)
        while len(self._tries) > NAMES_MAX:
            self._tries.popitem(last=False)

    def passed(self, account: str) -> None:
        """The right password."""
        self._tries.pop(f"account:{account}", None)

    def _wait(self, name: str, free: int, now: int) -> int:
        known = self._fresh(name, now)
        if known is None or known.count < free:
            return 0
        wait = min(FIRST_WAIT_MS << min(known.count - free, 20), WAIT_MS_MAX)
        return max(0, known.last_at + wait - now)

    def _fresh(self, name: str, now: int) -> _Tries | None:
        known = self._tries.get(name)
        return known if known is not None and known.last_at + FORGET_MS > now else None
