"""Claims of trees on verified batches: each tree has at most one that is active, a batch never more than is ours."""

from __future__ import annotations

from partners.core import after_events as a


def moved_claims(
    order: int, batch: str, to_order: int, to_batch: str, units: tuple[int, ...], note: str, now: int
) -> list[object]:
    """Trees keep their numbers and claim another batch."""
    return [
        a.ClaimsEnded(units, batch, "replaced", now),
        a.UnitsReplaced(units, order, batch, to_order, to_batch, note, now),
        a.ClaimsMade(units, to_order, to_batch, now),
    ]
