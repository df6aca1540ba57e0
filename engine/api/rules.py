"""Rulebooks and their editions for the operator: what is in force, propose, approve, canary, roll back.

A rulebook travels as JSON, path → text: no archives, nothing to unpack.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, Field

from engine.api.callers import Engine, IdempotencyKey, operator_caller
from engine.api.fields import Body, DisplayName, Instant, answer, plain_text
from engine.api.parts import Parts
from engine.api.problems import refusals
from engine.core.canary import EVERYBODY
from engine.core.editions import is_same_person
from engine.core.errors import Rejected
from engine.core.units import instant
from engine.in_force import stored_files
from engine.publishing import HISTORY_MAX, current, edition_of, history
from engine.rulefiles.packing import FILES_MAX
from engine.rulefiles.reading import FILE_BYTES_MAX
from engine.store.database import DatabaseAway, Reader

WHY_CHARACTERS_MAX = 1_000
SHARE_PCT = "Per cent of users, to two decimals; 100 for all, less for a canary."

router = APIRouter(prefix="/v1/rules", tags=["operator"], dependencies=[Depends(operator_caller)])

Why = Annotated[
    str,
    Field(min_length=1, max_length=WHY_CHARACTERS_MAX, description="Why, kept for ever."),
    AfterValidator(plain_text),
]
Files = Annotated[
    dict[
        Annotated[str, Field(max_length=300)],
        Annotated[str, Field(max_length=FILE_BYTES_MAX)],
    ],
    Field(min_length=1, max_length=FILES_MAX, description="The files of the rulebook: path → text."),
]
EditionPath = Annotated[int, Path(ge=1, le=2**31 - 1, description="The edition's number.")]
MaybeEdition = Annotated[int | None, Field(ge=1, le=2**31 - 1)]


class Overrides(Body):
    """Reasons for which a refusal is set aside; each is kept with the edition."""

    edited_in_place: Why | None = None
    over_budget: Why | None = None

    def given(self) -> dict[str, str]:
        """The reasons by the refusal that they set aside."""
        return self.model_dump(exclude_none=True)


class Proposal(Body):
    """A rulebook to be put in force, as soon as a second person approves or from an instant."""

    files: Files
    by: DisplayName
    why: Why
    share_pct: Annotated[
        float, Field(gt=0, le=100, multiple_of=0.01, strict=False, description=SHARE_PCT)
    ] = 100
    from_at: Instant | None = None
    overrides: Overrides = Field(default_factory=Overrides)


class Approval(Body):
    """The second person's word."""

    by: DisplayName
    overrides: Overrides = Field(default_factory=Overrides)


class Promotion(Body):
    """A second person's word that the canary is for all."""

    by: DisplayName
    why: Why
    overrides: Overrides = Field(default_factory=Overrides)


class Withdrawal(Body):
    """Who takes it back, and why."""

    by: DisplayName
    why: Why


class Rollback(Body):
    """Who goes back, and why; to the edition before, or to a named one."""

    by: DisplayName
    why: Why
    to: MaybeEdition = None


class Override(BaseModel):
    """A refusal that was set aside, by whom and why."""

    refusal: str
    by: str
    reason: str


class Edition(BaseModel):
    """A rulebook that was put in force, or is proposed to be."""

    edition: int
    rulebook: str = Field(description="The SHA-256 of the rulebook's content; every ball's trace names one.")
    origin: str = Field(description="folder, proposal, promotion or rollback.")
    state: str = Field(description="proposed, planned, published, ended or withdrawn.")
    share_pct: float
    salt: str | None = Field(None, description="With a user's id it says whether a canary has the user.")
    wanted_at: str | None = None
    from_at: str | None = None
    until_at: str | None = None
    proposed_by: str
    proposed_at: str
    why: str
    approved_by: str | None = None
    approved_at: str | None = None
    ended_by: str | None = None
    ended_why: str | None = None
    overrides: list[Override] = []
    same_as: int | None = Field(None, description="After a rollback: the edition whose rulebook is back.")


class Now(BaseModel):
    """What is in force, and what waits for approval or its instant."""

    in_force: Edition | None = None
    canary: Edition | None = None
    waiting: list[Edition]


class Kept(BaseModel):
    """The files of a rulebook, as they were stored."""

    rulebook: str
    files: dict[str, str]


Person = Annotated[str | None, Depends(operator_caller)]

_JUDGED = (
    "rulebook_broken",
    "edited_in_place",
    "over_budget",
    "bad_population",
    "rules_moved",
    "already_in_force",
)
_BUSY = ("canary_running", "canary_programmes", "edition_planned")


@router.get("", response_model=Now, response_model_exclude_unset=True)
async def now(parts: Engine) -> Response:
    """What is in force, the canary that runs, and what waits."""
    async with _snapshot(parts) as reader:
        return JSONResponse(await current(reader, parts.clock.now_ms()))


@router.get("/editions", response_model=list[Edition], response_model_exclude_unset=True)
async def editions(parts: Engine, limit: Annotated[int, Query(ge=1, le=HISTORY_MAX)] = 100) -> Response:
    """Who put what in force when, for whom and why; newest first."""
    async with _snapshot(parts) as reader:
        return JSONResponse(await history(reader, parts.clock.now_ms(), limit))


@router.get(
    "/editions/{edition}/files",
    response_model=Kept,
    responses=refusals("unknown_edition", "rulebook_missing"),
)
async def files(parts: Engine, edition: EditionPath) -> Response:
    """The rulebook of an edition, path → text."""
    async with _snapshot(parts) as reader:
        found = await edition_of(reader, edition)
        kept = await stored_files(reader, found.hash)
    if kept is None:
        raise Rejected("rulebook_missing", rulebook=found.hash)
    return JSONResponse({"rulebook": found.hash, "files": kept})


@router.post(
    "/editions",
    status_code=201,
    response_model=Edition,
    responses=refusals(*_JUDGED, *_BUSY, "too_many_proposals", "key_reused"),
)
async def propose(parts: Engine, person: Person, key: IdempotencyKey, body: Proposal) -> Response:
    """Check a rulebook and propose it, for all or as a canary. It counts once a second person approves it."""
    _check_name(parts, person, body.by)
    wanted_at = None if body.from_at is None else instant(body.from_at)
    share = round(body.share_pct * EVERYBODY / 100)
    outcome = await parts.publisher.propose(
        key, body.files, body.by, body.why, share, wanted_at, body.overrides.given()
    )
    return answer(outcome, 201)


@router.post(
    "/editions/{edition}/approve",
    response_model=Edition,
    responses=refusals(
        *_JUDGED, *_BUSY, "unknown_edition", "rulebook_missing", "not_proposed", "own_proposal", "key_reused"
    ),
)
async def approve(
    parts: Engine, person: Person, edition: EditionPath, key: IdempotencyKey, body: Approval
) -> Response:
    """Put a proposed edition in force; by a second person."""
    _check_name(parts, person, body.by)
    return answer(await parts.publisher.approve(key, edition, body.by, body.overrides.given()))


@router.post(
    "/editions/{edition}/promote",
    response_model=Edition,
    responses=refusals(
        *_JUDGED, *_BUSY, "unknown_edition", "rulebook_missing", "not_running", "own_proposal", "key_reused"
    ),
)
async def promote(
    parts: Engine, person: Person, edition: EditionPath, key: IdempotencyKey, body: Promotion
) -> Response:
    """Put a running canary in force for all; by a second person."""
    _check_name(parts, person, body.by)
    return answer(await parts.publisher.promote(key, edition, body.by, body.why, body.overrides.given()))


@router.post(
    "/editions/{edition}/withdraw",
    response_model=Edition,
    responses=refusals("unknown_edition", "not_running", "key_reused"),
)
async def withdraw(
    parts: Engine, person: Person, edition: EditionPath, key: IdempotencyKey, body: Withdrawal
) -> Response:
    """Take back a proposal or a planned edition, or end a canary."""
    _check_name(parts, person, body.by)
    return answer(await parts.publisher.withdraw(key, edition, body.by, body.why))


@router.post(
    "/rollback",
    response_model=Edition,
    responses=refusals(
        "unknown_edition",
        "nothing_earlier",
        "already_in_force",
        "rulebook_broken",
        "rulebook_missing",
        "canary_running",
        "edition_planned",
        "key_reused",
    ),
)
async def roll_back(parts: Engine, person: Person, key: IdempotencyKey, body: Rollback) -> Response:
    """Undo what was published last: end the canary, or put the rulebook before in force again."""
    _check_name(parts, person, body.by)
    return answer(await parts.publisher.roll_back(key, body.by, body.why, body.to))


def _check_name(parts: Parts, person: str | None, by: str) -> None:
    """Where operators have keys of their own, nobody acts in another's name, and the shared key in nobody's."""
    if parts.settings.operators and (person is None or not is_same_person(person, by)):
        raise Rejected("forbidden")


@asynccontextmanager
async def _snapshot(parts: Parts) -> AsyncIterator[Reader]:
    """A read view; where the database is away that is said as a refusal."""
    try:
        async with parts.db.snapshot() as reader:
            yield reader
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
