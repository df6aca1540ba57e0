"""Emission factors by region and year, and the stated order in which the figure for an act is looked for.

1. A figure that describes the act's year or, failing that, the latest earlier year: of the province, else of
   its country, else of the first region of `fallback` that has one.
2. Where all figures describe later years, the earliest of them: of the country, else of the province, else of
   the first region of `fallback` that has one.

Only figures that the game used on the day (`from`) are looked at; of two for one region and year, the one
used since the later day counts. This module knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from engine.core.values import Dated, Value


@dataclass(frozen=True, slots=True)
class FactorValue:
    """One figure of a factor: of a region, describing a year, used from a day on."""

    region: str
    year: int
    value: Value
    table: str


@dataclass(frozen=True, slots=True)
class Part:
    """A share of a made-up factor: so much of another factor."""

    factor: str
    amount: Dated[Value | None]


@dataclass(frozen=True, slots=True)
class Factor:
    """An emission factor by region and year, or one made of parts of others.

    `fallback` is tried after province and country; `by_region` holds figures in the order of their days.
    """

    id: str
    names: Mapping[str, str]
    unit: str
    boundary: str
    fallback: tuple[str, ...]
    by_region: Mapping[str, tuple[FactorValue, ...]]
    parts: tuple[Part, ...]

    def find(self, on: date, province: str | None, year: int | None = None) -> FactorValue | None:
        """The figure for an act of the year (that of `on`, when left out), of those in use on the day."""
        act_year = on.year if year is None else year
        own = regions_of(province)
        for region in (*own, *self.fallback):
            known = [one for one in self._in_use(region, on) if one.year <= act_year]
            if known:
                return max(known, key=lambda one: (one.year, one.value.since))
        for region in (*own[::-1], *self.fallback):
            later = list(self._in_use(region, on))
            if later:
                return min(later, key=lambda one: (one.year, -one.value.since.toordinal()))
        return None

    def days(self) -> Iterator[date]:
        """Every day on which another figure or amount may begin to count."""
        for figures in self.by_region.values():
            for figure in figures:
                yield figure.value.since
                yield date(figure.year, 1, 1)
        for part in self.parts:
            yield from part.amount.days

    def _in_use(self, region: str, on: date) -> Iterator[FactorValue]:
        return (one for one in self.by_region.get(region, ()) if one.value.since <= on)


def match_of(found: str, region: str | None) -> str:
    """How the region of a figure relates to the user's: its `province`, its `country`, or a `fallback`."""
    if found != region and not (region or "").startswith(f"{found}-"):
        return "fallback"
    return "province" if "-" in found else "country"


def regions_of(province: str | None) -> tuple[str, ...]:
    """A province (ISO 3166-2, `CN-BJ`) and its country, narrowest first; nothing for no province."""
    if not province:
        return ()
    country = province.split("-", 1)[0]
    return (province,) if country == province else (province, country)
