"""Units of measurement: enough algebra to see that a formula gives grams of CO2e, and to scale exactly.

A unit is written `kgCO2e/km`, `g/order`, `kgCO2e/t`, or `1`. Things that are only counted (step, ride,
order …) are units of their own, so that a ride is never taken for a kilometre. Base units are the milligram
of CO2e, the gram, the metre, the cubic metre and the counted thing itself. Money is counted by currency, and by the
year of its prices where factors are (USD2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

_SCALES: dict[str, tuple[str, int | Fraction]] = {
    "mgCO2e": ("CO2e", 1),
    "gCO2e": ("CO2e", 1_000),
    "kgCO2e": ("CO2e", 1_000_000),
    "tCO2e": ("CO2e", 1_000_000_000),
    "g": ("mass", 1),
    "kg": ("mass", 1_000),
    "t": ("mass", 1_000_000),
    "m": ("distance", 1),
    "km": ("distance", 1_000),
    "pkm": ("passenger distance", 1_000),
    "m3": ("volume", 1),
    "L": ("volume", Fraction(1, 1_000)),
    "kWh": ("electricity", 1),
    "MJ": ("heat", 1),
    "h": ("time", 60),
    "min": ("time", 1),
    "year": ("span of years", 1),  # of a stock's use; never mixed with hours of an act
}
COUNTED = (
    "step", "ride", "trip", "order", "invoice", "payment", "piece", "set", "item", "visit", "ticket",
    "meal", "cup", "bag", "box", "night", "day", "sheet", "document", "meeting", "passage", "parcel", "page",
    "device", "appliance", "use", "stay", "case", "person", "message", "contract", "refill", "charge", "%",
    "CNY", "EUR", "GBP", "KRW", "USD", "USD2022",
)  # fmt: skip
KNOWN = (*_SCALES, *COUNTED)


class UnknownUnit(ValueError):
    """A unit that is not in the table; the text names it."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """What a unit measures (each base dimension's power) and how many base units it is."""

    powers: tuple[tuple[str, int], ...]
    scale: Fraction

    def times(self, other: Dimension) -> Dimension:
        """The unit of a product."""
        powers = dict(self.powers)
        for name, power in other.powers:
            powers[name] = powers.get(name, 0) + power
        return Dimension(_packed(powers), self.scale * other.scale)

    def same_kind(self, other: Dimension) -> bool:
        """Whether both measure the same thing, whatever the scale."""
        return self.powers == other.powers


@lru_cache(maxsize=1024)
def dimension(unit: str) -> Dimension:
    """What a written unit measures. Raises UnknownUnit."""
    above, *below = unit.split("/")
    powers: dict[str, int] = {}
    scale = Fraction(1)
    for written, power in [(above, 1), *((part, -1) for part in below)]:
        if written == "1" and power == 1:
            continue
        name, size = _base(written)
        powers[name] = powers.get(name, 0) + power
        scale *= Fraction(size) ** power
    return Dimension(_packed(powers), scale)


def _base(written: str) -> tuple[str, int | Fraction]:
    if written in _SCALES:
        return _SCALES[written]
    if written in COUNTED:
        return written, 1
    raise UnknownUnit(written)


def _packed(powers: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, power) for name, power in powers.items() if power))


CARBON = dimension("mgCO2e")
