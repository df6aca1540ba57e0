"""UUIDv7 text in rising order, as clients make them: a prepared frame gets roughly the time of its sending."""

import os
import time
from collections.abc import Iterator


def rising_keys(per_ms: int = 20) -> Iterator[str]:
    """UUIDv7s that start now and move on by one millisecond every `per_ms` keys."""
    start_ms = time.time_ns() // 1_000_000
    number = 0
    while True:
        random = os.urandom(8).hex()
        tick = f"{(start_ms + number // per_ms) & 0xFFFF_FFFF_FFFF:012x}"
        rand_a = f"7{(number % per_ms) * (4096 // per_ms):03x}"
        variant = "89ab"[int(random[0], 16) & 3]
        yield f"{tick[:8]}-{tick[8:]}-{rand_a}-{variant}{random[1:4]}-{random[4:]}"
        number += 1
