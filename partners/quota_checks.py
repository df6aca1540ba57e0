"""Whether the counters of quotas are the sums of their lines: a pass over the lines, in constant memory a quota."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator

from engine.store.database import Reader

LINES_PER_QUERY = 50
COUNTERS = ("held", "ordered", "planted")

Finding = tuple[str, str, str]


async def audit_quotas(view: Reader) -> AsyncIterator[Finding]:
    """Findings as (code, place, "expected …, found …")."""
    counted = await _counted(view)
    last = ""
    while rows := await view.fetch(
        "SELECT id, capacity, held, ordered, planted FROM quotas WHERE id > ? ORDER BY id LIMIT ?",
        last,
        LINES_PER_QUERY,
    ):
        for name, capacity, *stored in rows:
            sums = counted.pop(name, [0, 0, 0])
            for counter, by_lines, found in zip(COUNTERS, sums, stored, strict=True):
                if by_lines != found:
                    says = f"expected {counter} {by_lines} by its lines, found {found}"
                    yield "quota_counters", f"quota {name}", says
            if stored[0] + stored[1] > capacity:
                says = f"expected held + ordered ≤ {capacity}, found {stored[0] + stored[1]}"
                yield "quota_exceeded", f"quota {name}", says
        last = rows[-1][0]
    for name in sorted(counted):
        yield "line_without_quota", f"quota {name}", f"expected a quota, found {sum(counted[name][:2])} trees"


async def _counted(view: Reader) -> dict[str, list[int]]:
    """held, ordered and planted by quota, as lines, orders and units say."""
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    last = ""
    while rows := await view.fetch(
        "SELECT l.id, l.quota, l.units, o.payload_hash FROM order_lines l"
        " JOIN partner_orders o ON o.id = l.order_id WHERE l.quota <> '' AND l.id > ?"
        " ORDER BY l.id LIMIT ?",
        last,
        LINES_PER_QUERY,
    ):
        for _, quota, units, payload_hash in rows:
            found[quota][1 if payload_hash else 0] += len(json.loads(units))
        last = rows[-1][0]
    for quota, planted in await view.fetch(
        "SELECT l.quota, count(*) FROM tree_units u JOIN order_lines l ON l.id = u.line_id"
        " WHERE u.batch_id IS NOT NULL AND l.quota <> '' GROUP BY l.quota"
    ):
        found[quota][2] += int(planted)
    return found
