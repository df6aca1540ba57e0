"""Our orders beside what their partner says of them: where the two differ. Reads nothing and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from partners.core.model import WATCHED_STATES

THEIRS_FOR: Mapping[str, tuple[str, ...]] = {
    "submitted": ("received",),
    "accepted": ("accepted",),
    "in_planting": ("in_planting",),
    "rejected": ("rejected",),
    "expired": ("cancelled", "rejected"),
    "cancelled": ("cancelled", "rejected"),
    **dict.fromkeys(("planted", "needs_info", *WATCHED_STATES, "completed", "closed_short"), ("planted",)),
}
"""What a partner may call an order that we have in a state; for what follows `planted` it has no other word."""
DEAD_STATES = ("rejected", "expired", "cancelled")
"""A partner need not list these."""

KINDS = (
    "missing_with_them",
    "missing_with_us",
    "not_told",
    "state",
    "accepted",
    "planted",
    "unit_price",
    "currency",
    "invoiced",
)


@dataclass(frozen=True, slots=True)
class OurLine:
    """A line as we have it; amounts in minor units."""

    line_no: int
    ordered: int
    accepted: int
    planted: int
    unit_price_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class OurOrder:
    """An order that went out; `invoiced_minor`: bills with tax that were not rejected."""

    id: int
    state: str
    invoiced_minor: int
    lines: Sequence[OurLine]


@dataclass(slots=True)
class TheirLine:
    """A line as its partner has it; None where it does not say."""

    accepted: int | None = None
    planted: int | None = None
    unit_price_minor: int | None = None
    currency: str | None = None


@dataclass(slots=True)
class TheirOrder:
    """An order as its partner has it. `silent`: why nothing could be learnt of it, else empty."""

    id: int
    state: str | None = None
    invoiced_minor: int | None = None
    lines: dict[int, TheirLine] = field(default_factory=dict)
    silent: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which the two differ. `line_no` 0: the order as a whole; `what` is one of `KINDS`."""

    order: int
    line_no: int
    what: str
    ours: str | int | None
    theirs: str | int | None


def differences(ours: Iterable[OurOrder], theirs: Mapping[int, TheirOrder]) -> Iterator[Difference]:
    """Everything in which the two sides differ, by order and line; what a partner does not say is no difference."""
    left = dict(theirs)
    for order in sorted(ours, key=lambda one: one.id):
        their = left.pop(order.id, None)
        if their is None:
            if order.state not in DEAD_STATES:
                yield Difference(order.id, 0, "missing_with_them", order.state, None)
        elif their.silent:
            yield Difference(order.id, 0, "not_told", order.state, their.silent)
        else:
            yield from _of_order(order, their)
    for number, their in sorted(left.items()):
        yield Difference(number, 0, "missing_with_us", None, their.state)


def _of_order(order: OurOrder, their: TheirOrder) -> Iterator[Difference]:
    if their.state is not None and their.state not in THEIRS_FOR.get(order.state, ()):
        yield Difference(order.id, 0, "state", order.state, their.state)
    if their.invoiced_minor is not None and their.invoiced_minor != order.invoiced_minor:
        yield Difference(order.id, 0, "invoiced", order.invoiced_minor, their.invoiced_minor)
    lines = dict(their.lines)
    for line in order.lines:
        said = lines.pop(line.line_no, None)
        if said is None:
            if their.lines and order.state not in DEAD_STATES:
                yield Difference(order.id, line.line_no, "missing_with_them", line.accepted, None)
            continue
        pairs: tuple[tuple[str, str | int, str | int | None], ...] = (
            ("accepted", line.accepted, said.accepted),
            ("planted", line.planted, said.planted),
            ("unit_price", line.unit_price_minor, said.unit_price_minor),
            ("currency", line.currency, said.currency),
        )
        for what, our, their_value in pairs:
            if their_value is not None and their_value != our:
                yield Difference(order.id, line.line_no, what, our, their_value)
    for line_no in sorted(lines):
        yield Difference(order.id, line_no, "missing_with_us", None, lines[line_no].accepted)
