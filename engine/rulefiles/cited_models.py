"""The shapes that every rule file shares: names, sources, dated numbers, and one of several by what was sent."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from engine.rulefiles.scalars import AttributeName, Choice, Day, Id, Number, Text

T = TypeVar("T")

CHOICES_MAX = 100


class Strict(BaseModel):
    """Unknown keys are refused; nothing is guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Names(Strict):
    """A name or sentence in both languages."""

    zh: Text = Field(description="in Chinese")
    en: Text = Field(description="in English")


class Sourced(Strict):
    """Something that rests on sources."""

    references: list[Id] = Field(min_length=1, description="ids from references.yaml that it rests on")


class Cited(Sourced):
    """A number, or numbers, with sources."""

    confidence: Literal["documented", "derived", "assumed"] = Field(
        description="documented: a source says it; derived: worked out from such; assumed: our own choice"
    )
    because: Text | None = Field(
        default=None, description="how it was worked out, or why it was chosen; required unless documented"
    )


class DatedValue(Cited):
    """A number from a day on, with its sources."""

    value: Number | None = Field(
        description="the number, exact: 80, 0.16725 or 296/18040; null ends it from this day"
    )


Series = Annotated[dict[Day, DatedValue], Field(min_length=1)]


class Picked(Strict, Generic[T]):
    """One of several, chosen by what was sent; it may stand wherever dated numbers stand."""

    by: AttributeName = Field(
        description="a choice attribute, or evidence (the kinds of evidence), or grade (their grades)"
    )
    of: Annotated[dict[Choice, T], Field(min_length=1, max_length=CHOICES_MAX)] = Field(
        description="what counts for each choice; every choice of the attribute is there"
    )


def shape_of(found: object) -> str:
    """Whether dated things stand alone (`plain`) or are `picked` among several."""
    is_picked = isinstance(found, Picked) or (isinstance(found, dict) and "by" in found)
    return "picked" if is_picked else "plain"


def name_shape_of(found: object) -> str:
    """Whether a name stands alone (`plain`) or is `picked` among several."""
    return "picked" if isinstance(found, dict | Picked) else "plain"


SeriesOrPicked = Annotated[
    Annotated[Series, Tag("plain")] | Annotated[Picked[Series], Tag("picked")], Discriminator(shape_of)
]
IdOrPicked = Annotated[
    Annotated[Id, Tag("plain")] | Annotated[Picked[Id], Tag("picked")], Discriminator(name_shape_of)
]


class Measured(Strict):
    """Dated numbers with a unit of their own."""

    unit: Text = Field(description="unit, such as km/step or g/order")
    values: SeriesOrPicked = Field(description="numbers by the day from which they are in force")
