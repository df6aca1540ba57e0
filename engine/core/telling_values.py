"""Words for the values that a trace keeps, with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

Numbers = dict[str | None, Fraction]  # the quantity under None, attributes and measures by name


def tell(value: Mapping[str, Any], cited: list[str]) -> str:
    """A value with its unit and what stands behind it; its references are added to `cited`."""
    unit = "" if value["unit"] == "1" else f" {value['unit']}"
    return f"{value['value']}{unit} {cites_of(value, cited)}"


def cites_of(value: Mapping[str, Any], cited: list[str]) -> str:
    """How sure, since when, what chose it, from where; in brackets."""
    cited.extend(value["references"])
    cites = "".join(f" [{reference}]" for reference in value["references"])
    picked = f", for {value['picked'][0]} {value['picked'][1]}" if "picked" in value else ""
    return f"({value['confidence']}, from {value['from']}{picked}{cites})"


def digits(amount: Fraction) -> str:
    """A fraction in digits, cut after six decimals (with … when it goes on)."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), 1)
    cut = (rest * 10**6).__floor__()
    text = f"{whole:,}" + (f".{cut:06d}".rstrip("0") if cut else "")
    return sign + text + ("…" if Fraction(cut, 10**6) != rest else "")
