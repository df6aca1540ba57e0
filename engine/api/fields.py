"""Types of request fields, each with its limit, and how an outcome becomes a response."""

import unicodedata
from typing import Annotated

from fastapi import Path
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from engine.core.errors import Rejected
from engine.core.units import ID_MAX, instant
from engine.writer import Outcome

NAME_CHARACTERS_MAX = 40
REFERENCE_CHARACTERS_MAX = 128
SUBJECT_CHARACTERS_MAX = 200
BEHAVIOURS_MAX = 64
MONEY_MINOR_MAX = 10**15

# Refused: control characters, what turns the direction of writing or hides, what is no character at all.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINERS = {"\u200c", "\u200d"}  # needed by scripts and by emoji


class Body(BaseModel):
    """A request body: every field is named here, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


def shown_text(text: str) -> str:
    """Text that people will see, in one normal form. Raises ValueError."""
    text = unicodedata.normalize("NFC", text).strip()
    if any(unicodedata.category(char) in _UNSEEN and char not in _JOINERS for char in text):
        raise ValueError("no control characters, no direction marks")
    if not any(unicodedata.category(char)[0] in "LNPS" for char in text):
        raise ValueError("at least one character that can be seen")
    return text


def plain_text(text: str) -> str:
    """Text without characters that can't be seen. Raises ValueError."""
    if any(unicodedata.category(char) in _UNSEEN for char in text):
        raise ValueError("no control characters, no direction marks")
    return text


def _ms(text: str) -> str:
    instant(text)
    return text


DisplayName = Annotated[
    str,
    Field(min_length=1, max_length=NAME_CHARACTERS_MAX, description="What friends see, 1 to 40 characters."),
    AfterValidator(shown_text),
]
Reference = Annotated[
    str,
    Field(
        min_length=1,
        max_length=REFERENCE_CHARACTERS_MAX,
        description="The app's own id of the person; erased with the account.",
    ),
    AfterValidator(plain_text),
]
Subject = Annotated[
    str,
    Field(
        min_length=1,
        max_length=SUBJECT_CHARACTERS_MAX,
        description="The person as the source knows them, opaque.",
    ),
    AfterValidator(plain_text),
]
Zone = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_+\-/]{1,64}$", description="IANA time zone, Asia/Shanghai.")
]
Province = Annotated[str, Field(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$", description="ISO 3166-2, CN-ZJ.")]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Behaviours = Annotated[
    list[Slug],
    Field(min_length=1, max_length=BEHAVIOURS_MAX, description="Ids of behaviours of the rulebook."),
]
Instant = Annotated[
    str,
    Field(
        max_length=40, description="RFC 3339 with an offset or Z.", json_schema_extra={"format": "date-time"}
    ),
    AfterValidator(_ms),
]
Count = Annotated[int, Field(ge=1, le=10**9)]
Minor = Annotated[int, Field(ge=1, le=MONEY_MINOR_MAX, description="In minor units of the currency.")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")]

WireId = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,15}$", description="Decimal id below 2^53.")]
SlugPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


def id_of(text: str, missing: str) -> int:
    """The id that a path names. Raises Rejected(missing) for numbers that are no id."""
    number = int(text)
    if number > ID_MAX:
        raise Rejected(missing)
    return number


def answer(outcome: Outcome, status: int = 200) -> Response:
    """What a command came to, as a response. Raises its refusal."""
    if outcome.error is not None:
        raise outcome.error
    headers = {"Idempotency-Replayed": "true"} if outcome.replayed else None
    return Response(outcome.data or b"{}", status, headers, "application/json")
