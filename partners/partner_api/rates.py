"""How fast a key may call: a token bucket for each, in this process. Several processes count each for itself."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

KEYS_KEPT_MAX = 10_000
POLICY = "requests"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request for a token: how many are left, and in how many seconds the next comes, or all are
    back."""

    is_granted: bool
    left: int
    next_s: int
    full_s: int


class Rates:
    """Buckets of `burst` tokens that fill by `per_s`; `per_s` 0 sets no limit."""

    def __init__(self, per_s: float, burst: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self.per_s, self.burst, self._now_s = per_s, burst, now_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> Taken:
        """Take a token from the key's bucket, if there is one."""
        if self.per_s <= 0:
            return Taken(True, self.burst, 0, 0)
        now = self._now_s()
        tokens, since = self._buckets.pop(key, (float(self.burst), now))
        tokens = min(float(self.burst), tokens + (now - since) * self.per_s)
        is_granted = tokens >= 1
        tokens -= is_granted
        self._buckets[key] = (tokens, now)
        while len(self._buckets) > KEYS_KEPT_MAX:
            self._buckets.popitem(last=False)
        next_s = max(0, math.ceil((1 - tokens) / self.per_s))
        return Taken(is_granted, int(tokens), next_s, math.ceil((self.burst - tokens) / self.per_s))

    def headers(self, taken: Taken) -> dict[str, str]:
        """The RateLimit headers (IETF draft of September 2025), and when to come again after a refusal."""
        if self.per_s <= 0:
            return {}
        window_s = math.ceil(self.burst / self.per_s)
        told = {
            "RateLimit-Policy": f'"{POLICY}";q={self.burst};w={window_s}',
            "RateLimit": f'"{POLICY}";r={taken.left};t={taken.full_s}',
        }
        return told if taken.is_granted else told | {"Retry-After": str(max(1, taken.next_s))}
