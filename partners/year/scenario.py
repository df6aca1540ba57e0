"""What the year is made of, read from `year.yaml`: programmes, funders, partners and how each of them behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from partners.core.after_terms import Rate
from partners.core.records.agreed import Band, Milestone, Window

PARTNERS_MAX = 60

Span = tuple[int, int]
"""From, to, both included."""


@dataclass(frozen=True, slots=True)
class Place:
    """A programme: like a shipped one, in a region and currency of its own; `share_pct` of all trees."""

    id: str
    like: str
    region: str
    currency: str
    unit_price_minor: int
    granularity: str
    share_pct: int


@dataclass(frozen=True, slots=True)
class Fund:
    """What a funder sets aside for a tree of a programme, in its own currency; `share_pct` of the programme's."""

    funder: str
    programme: str
    currency: str
    set_aside_minor: int
    share_pct: int


@dataclass(frozen=True, slots=True)
class Planter:
    """A partner: what it has agreed to, and how it behaves; see the comments of `year.yaml`."""

    id: str
    currency: str
    programmes: tuple[str, ...]
    tier: int
    minimum_trees: int
    tolerance_pct: int
    lines_max: int
    evidence_min: int
    survival_m12: Band
    survival_m36: Band
    milestones: tuple[Milestone, ...]
    review_levels: tuple[int, ...]
    claim_share_pct: int
    discount_pct: int
    capacity_pct: int
    polled_d: int
    is_resendable: bool
    answers_d: Span
    rejects_pct: int
    partly_pct: int
    silent_pct: int
    lost_pct: int
    reports: int
    short_pct: int
    over_pct: int
    reused_pct: int
    cancels_pct: int
    bills_d: Span
    survives_pct: Span
    replaces: bool
    told: tuple[tuple[str, str], ...]
    papers_until: str


@dataclass(frozen=True, slots=True)
class Staff:
    """How the operator's people work."""

    looks_d: Span
    asks_pct: int
    misses_pct: int
    counts_d: Span
    pays_d: Span
    bounces_pct: int
    mends_d: int
    repaid_d: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """All of it. `capacity_pct`: places by season, of a programme's trees of a year."""

    begins_on: date
    ends_on: date
    next_places_on: str
    users_trees: int
    places: tuple[Place, ...]
    funds: tuple[Fund, ...]
    rates: tuple[Rate, ...]
    seasons: tuple[Window, ...]
    capacity_pct: Mapping[str, int]
    planters: tuple[Planter, ...]
    staff: Staff

    def with_partners(self, count: int) -> Scenario:
        """The first so many partners; more than there are come again under other names.

        Programmes that none of them plants stay: their trees find no place and their energy comes back.
        """
        if not 1 <= count <= PARTNERS_MAX:
            raise ValueError(f"1 to {PARTNERS_MAX} partners")
        found = []
        for number in range(count):
            turn, place = divmod(number, len(self.planters))
            one = self.planters[place]
            found.append(one if not turn else replace(one, id=f"{one.id}-{turn + 1}"))
        return replace(self, planters=tuple(found))


@cache
def shipped() -> Scenario:
    """The scenario that ships with this package."""
    told = YAML(typ="safe", pure=True).load(files("partners.year").joinpath("year.yaml").read_text("utf-8"))
    return Scenario(
        begins_on=told["begins_on"],
        ends_on=told["ends_on"],
        next_places_on=told["next_places_on"],
        users_trees=told["users_trees"],
        places=tuple(Place(**one) for one in told["programmes"]),
        funds=tuple(Fund(**one) for one in told["funders"]),
        rates=tuple(Rate(**{**one, "on": one["on"].isoformat()}) for one in told["rates"]),
        seasons=tuple(
            Window(one["id"], one["order_by"], one["opens"], one["closes"]) for one in told["seasons"]
        ),
        capacity_pct={one["id"]: one["capacity_pct"] for one in told["seasons"]},
        planters=tuple(_planter({"papers_until": "", **told["usual"], **one}) for one in told["partners"]),
        staff=Staff(**{name: _span(value) for name, value in told["staff"].items()}),
    )


def _planter(told: dict[str, Any]) -> Planter:
    plain = {name: _span(value) for name, value in told.items()}
    return Planter(
        **{
            **plain,
            "programmes": tuple(told["programmes"]),
            "review_levels": tuple(told["review_levels"]),
            "survival_m12": Band(**told["survival_m12"]),
            "survival_m36": Band(**told["survival_m36"]),
            "milestones": tuple(Milestone(when, pct) for when, pct in told["milestones"].items()),
            "told": tuple((one["on"], one["what"]) for one in told["told"]),
        }
    )


def _span(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
