"""Who does a job now, and how far it has come: leases of scheduled work, and the proof that writing works.

A lease ends by itself; its term grows with every holder, so that one who slept through its end is refused.
None of this is a fact of the game: it is not journaled, and no outcome depends on it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.game import Rule
from engine.core.state import Shelf, ShelfKind, State, Touch
from engine.core.units import HOUR_MS

LIFE_MS_MAX = HOUR_MS  # no lease is longer
PROOF = "readiness"  # the lease row that nobody holds: touched to prove that a write is committed


@dataclass(slots=True)
class Lease:
    """One job's row. `watermark`: the instant (ms) up to which the job is done, 0 if it keeps none."""

    job: str
    holder: str
    term: int
    until_at: int
    watermark: int


LEASES = ShelfKind("leases", Lease, ("job",), locks=9)


class JobState(State):
    """The shelf by name, for the type checker."""

    leases: Shelf[str, Lease]


# --- commands -------------------------------------------------------------------------------------


@dataclass(slots=True)
class ClaimLease:
    """Hold the job for `life_ms` from now, or hold it on; refused (`lease_lost`) while somebody else does."""

    job: str
    holder: str
    life_ms: int


@dataclass(slots=True)
class MoveWatermark:
    """The holder of that term is done with everything up to `watermark`."""

    job: str
    holder: str
    term: int
    watermark: int


@dataclass(slots=True)
class ProveWrite:
    """Write one row, to see whether writing works."""


# --- events ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class LeaseChanged:
    """The row as it is now."""

    lease: Lease


# --- decide and evolve ----------------------------------------------------------------------------


def _job_touches(command: ClaimLease | MoveWatermark, state: JobState) -> Iterator[Touch]:
    yield Touch("leases", command.job)


def _claim(state: JobState, command: ClaimLease, context: Context) -> Decision:
    """A lease or watermark far ahead of now was made under a clock that has been set back: it does not count."""
    now, held = context.now, state.leases.get(command.job)
    term, watermark = (held.term, held.watermark) if held else (0, 0)
    is_live = held is not None and now < held.until_at <= now + LIFE_MS_MAX
    is_mine = held is not None and is_live and held.holder == command.holder
    if is_live and not is_mine:
        raise Rejected("lease_lost", job=command.job)
    lease = Lease(
        job=command.job,
        holder=command.holder,
        term=term if is_mine else term + 1,
        until_at=now + min(command.life_ms, LIFE_MS_MAX),
        watermark=watermark if watermark <= now else 0,
    )
    reply: dict[str, object] = {"now": now, "term": lease.term, "watermark": lease.watermark}
    return Decision([LeaseChanged(lease)], reply)


def _move(state: JobState, command: MoveWatermark, context: Context) -> Decision:
    held = state.leases.get(command.job)
    if held is None or (held.holder, held.term) != (command.holder, command.term):
        raise Rejected("lease_lost", job=command.job)
    lease = Lease(held.job, held.holder, held.term, held.until_at, max(held.watermark, command.watermark))
    return Decision([LeaseChanged(lease)], {"watermark": lease.watermark})


def _proof_touches(command: ProveWrite, state: JobState) -> Iterator[Touch]:
    yield Touch("leases", PROOF)


def _prove(state: JobState, command: ProveWrite, context: Context) -> Decision:
    held = state.leases.get(PROOF)
    lease = Lease(PROOF, "", (held.term if held else 0) + 1, 0, context.now)
    return Decision([LeaseChanged(lease)], {"term": lease.term})


def _changed(state: JobState, event: LeaseChanged) -> None:
    if state.leases.get(event.lease.job) is None:
        state.leases.add(event.lease.job, event.lease)
        return
    row = state.leases.rewrite(event.lease.job)
    row.holder, row.term = event.lease.holder, event.lease.term
    row.until_at, row.watermark = event.lease.until_at, event.lease.watermark


RULES: Mapping[type, Rule] = {
    ClaimLease: Rule(_job_touches, _claim, is_journaled=False),
    MoveWatermark: Rule(_job_touches, _move, is_journaled=False),
    ProveWrite: Rule(_proof_touches, _prove, is_journaled=False),
}
EVOLVE: Mapping[type, Callable[[Any, Any], None]] = {LeaseChanged: _changed}
