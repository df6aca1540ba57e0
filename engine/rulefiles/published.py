"""The shape of published.yaml: what other schemes print for the same acts, to be set beside ours. Changes no ball."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.core.dimensions import KNOWN, UnknownUnit, dimension
from engine.rulefiles.checks import HUGE, Finding, Findings
from engine.rulefiles.models import Cited, Names, Reference, Strict
from engine.rulefiles.scalars import AttributeName, Day, Id, Number, Region, Text, Truth, Written


class PublishedRow(Cited):
    """One figure of one scheme."""

    scheme: Text = Field(description="who credits it")
    value: Number = Field(description="grams for one unit of the act")
    counts: Literal["avoided", "energy"] = Field(
        description="avoided: the scheme calls it grams of CO2; energy: grams of a game"
    )
    condition: Text = Field(description="what the scheme asks for, and what one unit is to it")
    comparable: Truth = Field(
        default=True, description="whether it is for the same unit; only such figures enter the ratio"
    )


class OurAct(Strict):
    """The act as our own rulebook would be told of it."""

    behaviour: Id = Field(description="id of a behaviour; it need not exist yet")
    quantity: Number = Field(description="units of the act; the result is divided by it")
    attributes: dict[AttributeName, Written] = Field(
        default_factory=dict, description="attributes that the behaviour needs"
    )
    province: Region | None = Field(default=None, description="the user's province")


class PublishedAct(Strict):
    """An act that several schemes credit."""

    names: Names = Field(description="what it is called")
    unit: Text = Field(description="the unit that figures are for, which is the behaviour's: ride, km, kg")
    ours: OurAct = Field(description="the act in our own rulebook")
    published: list[PublishedRow] = Field(min_length=1, description="the figures of schemes")


class PublishedFile(Strict):
    """published.yaml: what other schemes print; may be left out, and is no part of the rulebook's hash."""

    written_on: Day | None = Field(
        default=None,
        description="day on which figures of all references without a day of their own were written",
    )
    confirmed_on: Day | None = Field(
        default=None, description="last day on which all references without a day of their own were looked up"
    )
    references: dict[Id, Reference] = Field(
        default_factory=dict,
        description="sources of these figures only; those of the rulebook may be cited too",
    )
    acts: dict[Id, PublishedAct] = Field(min_length=1, description="acts by an id of their own")


def check_published(file: PublishedFile, others: set[str]) -> Findings:
    """Figures are plausible, units known, references told once."""
    for name, reference in file.references.items():
        if name in others:
            yield Finding(
                ("references", name), f"{name!r} again", "an id that references.yaml lacks", "cite that one"
            )
        if not (reference.link or reference.document):
            yield Finding(
                ("references", name), "no link and no document", "one of them", "add link: or document:"
            )
    for name, act in file.acts.items():
        path = ("acts", name)
        try:
            dimension(act.unit)
        except UnknownUnit as problem:
            yield Finding(
                (*path, "unit"),
                f"the unknown unit {str(problem)!r}",
                f"one of {', '.join(KNOWN)}",
                "correct it",
            )
        if act.ours.quantity.amount <= 0:
            yield Finding(
                (*path, "ours", "quantity"), act.ours.quantity.text, "more than 0", "write how many units"
            )
        for index, row in enumerate(act.published):
            if not 0 <= row.value.amount <= HUGE:
                where = (*path, "published", index, "value")
                yield Finding(where, row.value.text, f"a number from 0 to {HUGE:,}", "write grams")
