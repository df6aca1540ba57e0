"""What published schemes credit for an act beside what ours does: one table an act, with ratios. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.errors import Rejected
from engine.core.quantify import assess
from engine.core.rules import Reference, RuleBook
from engine.rulebook import Files
from engine.rulefiles.building import references
from engine.rulefiles.models import ReferencesFile
from engine.rulefiles.published import PublishedAct, PublishedFile


@dataclass(frozen=True, slots=True)
class Figure:
    """What a scheme prints for one unit of an act, in grams. `counts`: `avoided` or `energy`."""

    scheme: str
    grams: Fraction
    counts: str
    condition: str
    is_comparable: bool
    confidence: str
    because: str
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Ours:
    """What our rulebook gives for one unit of the act on a day, in grams, or why it gives nothing."""

    behaviour: str
    energy_g: Fraction | None = None
    avoided_g: Fraction | None = None
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """One act as all see it."""

    act: str
    names: Mapping[str, str]
    unit: str
    figures: tuple[Figure, ...]
    ours: Ours

    def ratio(self) -> Fraction | None:
        """The largest published figure over the smallest, of those for the same unit."""
        return _ratio([figure.grams for figure in self.figures if figure.is_comparable])

    def ratio_with_ours(self) -> Fraction | None:
        """The same with our avoided emissions among them."""
        grams = [figure.grams for figure in self.figures if figure.is_comparable]
        return _ratio([*grams, *([self.ours.avoided_g] if self.ours.avoided_g else [])])


def _ratio(grams: list[Fraction]) -> Fraction | None:
    above_nothing = [one for one in grams if one > 0]
    return max(above_nothing) / min(above_nothing) if above_nothing else None


def spreads(files: Files, on: date, behaviour: str | None = None) -> Iterator[Spread]:
    """The acts of published.yaml, those of one behaviour where it is named. Raises Rejected(unknown_behaviour)."""
    published = next((file for file in files.models.values() if isinstance(file, PublishedFile)), None)
    if behaviour is not None and behaviour not in files.book.behaviours:
        named = {act.ours.behaviour for act in published.acts.values()} if published else set()
        if behaviour not in named:
            raise Rejected("unknown_behaviour", behaviour=behaviour[:64])
    if published is None:
        return
    sources = {**references(ReferencesFile(references=published.references)), **files.book.references}
    for name, act in published.acts.items():
        if behaviour is None or act.ours.behaviour == behaviour:
            figures = tuple(_figures(act, sources))
            yield Spread(name, act.names.model_dump(), act.unit, figures, _ours(files.book, act, on))


def _figures(act: PublishedAct, sources: Mapping[str, Reference]) -> Iterator[Figure]:
    for row in act.published:
        cited = tuple(sources[name] for name in row.references if name in sources)
        because = row.because or ""
        yield Figure(
            row.scheme,
            row.value.amount,
            row.counts,
            row.condition,
            row.comparable,
            row.confidence,
            because,
            cited,
        )


def _ours(book: RuleBook, act: PublishedAct, on: date) -> Ours:
    """Our own rules told of the act, per unit of it: through the same assessment as any report."""
    ours = act.ours
    if ours.behaviour not in book.behaviours:
        return Ours(ours.behaviour, refused="not in this rulebook")
    exact = ours.quantity.amount
    quantity = Decimal(exact.numerator) / Decimal(exact.denominator)
    try:
        result = assess(book, ours.behaviour, quantity, act.unit, on, dict(ours.attributes), ours.province)
    except Rejected as refusal:
        return Ours(ours.behaviour, refused=str(refusal))
    return Ours(ours.behaviour, result.energy_g / exact, Fraction(result.avoided_mg, 1000) / exact)


def document(spread: Spread) -> dict[str, Any]:
    """An act's spread as JSON; grams and ratios as decimal text of four significant places."""
    ours = spread.ours
    return {
        "act": spread.act,
        "names": dict(spread.names),
        "unit": spread.unit,
        "ratio": shown(spread.ratio()),
        "ratio_with_ours": shown(spread.ratio_with_ours()),
        "ours": {
            "behaviour": ours.behaviour,
            "energy_g": shown(ours.energy_g),
            "avoided_g": shown(ours.avoided_g),
            "refused": ours.refused or None,
        },
        "published": [_figure(figure, ours) for figure in spread.figures],
    }


def _figure(figure: Figure, ours: Ours) -> dict[str, Any]:
    return {
        "scheme": figure.scheme,
        "grams": shown(figure.grams),
        "counts": figure.counts,
        "condition": figure.condition,
        "comparable": figure.is_comparable,
        "of_ours": shown(of_ours(figure, ours)),
        "confidence": figure.confidence,
        "because": figure.because or None,
        "references": [
            {"id": one.id, "title": one.title, "publisher": one.publisher, "date": one.date}
            for one in figure.references
        ],
    }


def of_ours(figure: Figure, ours: Ours) -> Fraction | None:
    """How many times ours a figure is: energy against energy, avoided emissions against avoided emissions."""
    own = ours.energy_g if figure.counts == "energy" else ours.avoided_g
    return figure.grams / own if own and figure.is_comparable else None


def shown(amount: Fraction | None) -> str | None:
    """A number to four significant places (all of a larger whole number), as plain decimal text."""
    if amount is None:
        return None
    if not amount:
        return "0"
    places = 0
    while places < 12 and abs(amount) * 10**places < 1000:
        places += 1
    text = format(Decimal(round(amount * 10**places)).scaleb(-places), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
