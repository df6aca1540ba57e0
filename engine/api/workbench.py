"""The product team's workbench over HTTP: check, compare, explain, set beside other schemes, schemas for editors.

Nothing here changes the rulebook in force. Files that are sent are worked out in a process of their own.
"""

import asyncio
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi import Path as InPath
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from engine.api.callers import Engine, operator_caller
from engine.api.fields import Body, Province, Slug
from engine.api.parts import Parts
from engine.api.problems import refusals
from engine.core.errors import Rejected
from engine.core.units import local_day
from engine.in_force import stored_files
from engine.rulebook import FILES_MAX, Files, RulebookError, load_files
from engine.rulefiles.reading import FILE_BYTES_MAX
from engine.store.database import DatabaseAway
from engine.workbench import schemas
from engine.workbench.apart import Apart
from engine.workbench.explaining import Act, explain
from engine.workbench.spread import document, spreads

PROBLEMS_TOLD_MAX = 20
_encode = msgspec.json.Encoder(enc_hook=str).encode
_GAME_REFUSALS = (
    "unknown_behaviour",
    "not_in_force",
    "wrong_unit",
    "quantity_out_of_range",
    "missing_attribute",
    "bad_attribute",
)


def _a_day(text: str) -> str:
    date.fromisoformat(text)
    return text


Name = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}(/[a-z0-9][a-z0-9-]{0,63}){0,2}\.yaml$")
]
Text = Annotated[str, StringConstraints(max_length=FILE_BYTES_MAX)]
FileMap = Annotated[
    dict[Name, Text],
    Field(
        min_length=1, max_length=FILES_MAX, description="Texts of rule files by their names in the folder."
    ),
]
DayText = Annotated[
    str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day, 2026-12-01."), AfterValidator(_a_day)
]
Quantity = Annotated[
    str, Field(pattern=r"^-?\d{1,15}(\.\d{1,12})?$", description="A decimal number as text.")
]
AttributeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
AttributeText = Annotated[str, StringConstraints(max_length=200)]


class RulebookSent(Body):
    """The files of a rulebook."""

    files: FileMap
    on: DayText | None = Field(None, description="The day as of which it is judged; today if left out.")


class TwoRulebooks(Body):
    """A rulebook as it would be, and as it is: the engine's own where `before` is left out."""

    before: FileMap | None = None
    after: FileMap
    on: DayText | None = Field(None, description="The day as of which it is judged; today if left out.")


class ActAsked(Body):
    """An act that nobody has done."""

    behaviour: Slug
    quantity: Quantity
    unit: Annotated[str, Field(max_length=64)] | None = None
    on: DayText | None = Field(None, description="The local day; today if left out.")
    province: Province | None = None
    attributes: Annotated[dict[AttributeName, AttributeText], Field(max_length=20)] = Field(
        default_factory=dict
    )
    lang: Literal["en", "zh"] = "en"


class ProblemFound(BaseModel):
    """Something wrong in a file."""

    file: str
    line: int
    path: str
    found: str
    expected: str
    fix: str


class RulebookChecked(BaseModel):
    """What is wrong with a rulebook, and what looks forgotten."""

    ok: bool
    hash: str | None
    files: int
    behaviours: int
    factors: int
    species: int
    programmes: int
    references: int
    confirmed: int = Field(description="References that somebody has looked up at the source itself.")
    examples: int
    values: dict[str, int] = Field(description="Numbers by how sure they are.")
    warnings: list[str]
    problems: list[ProblemFound]


class RulebooksCompared(BaseModel):
    """What changes, in the terms of the game."""

    before: str = Field(description="Hash of the rulebook as it is.")
    after: str = Field(description="Hash of the rulebook as it would be.")
    same: bool
    as_of: str
    backdated: bool = Field(description="True: something of days that are past would be another than it was.")
    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    effects: list[dict[str, Any]] = Field(description="Typical acts under both rulebooks.")


class ActExplained(BaseModel):
    """What an act would be worth, and why."""

    behaviour: str
    names: dict[str, str]
    rules: str
    energy_g: int = Field(description="Grams of energy after the cap of one act.")
    booked_g: int = Field(description="Grams after the gram caps of an otherwise empty day.")
    avoided_mg: int
    between_mg: list[int] | None = Field(description="Least and most by the stated uncertainty.")
    caps: dict[str, Any]
    steps: list[str]
    agrees: bool
    references: list[dict[str, Any]]
    trace: dict[str, Any]


class SpreadTold(BaseModel):
    """What schemes credit for the same acts."""

    on: str
    acts: list[dict[str, Any]]


def make_router() -> APIRouter:
    """The routes, with a place of their own for what is sent."""
    router = APIRouter(prefix="/v1/rules", tags=["rules"], dependencies=[Depends(operator_caller)])
    apart = Apart()

    @router.post(
        "/check", response_model=RulebookChecked, responses=refusals("too_costly", "overloaded", "invalid")
    )
    async def check_rules(parts: Engine, body: RulebookSent) -> Response:
        """Everything wrong with the rulebook that is sent, all at once; nothing is kept."""
        job = {"job": "check", "after": body.files, "folder": None, "today": _day(parts, body.on).isoformat()}
        return _json(await apart.work_out(job))

    @router.post(
        "/diff",
        response_model=RulebooksCompared,
        responses=refusals("rulebook_broken", "too_costly", "overloaded", "unavailable", "invalid"),
    )
    async def compare_rules(parts: Engine, body: TwoRulebooks) -> Response:
        """What changes between two rulebooks: which values, from which day, by how much for typical acts."""
        today = _day(parts, body.on).isoformat()
        folder = parts.settings.game_rules
        before = body.before if body.before is not None else await _in_force(parts)
        job = {"job": "diff", "before": before, "after": body.after, "today": today}
        result = await apart.work_out({**job, "folder": str(folder) if folder else None})
        if "broken" in result:
            raise Rejected("rulebook_broken", rulebook=result["broken"], problems=result["problems"])
        return _json(result)

    @router.post("/explain", response_model=ActExplained, responses=refusals(*_GAME_REFUSALS, "invalid"))
    async def explain_act(parts: Engine, body: ActAsked) -> Response:
        """What an act would be worth under the rulebook in force, step by step, with its trace."""
        on = _day(parts, body.on)
        attributes: Mapping[str, object] = dict(body.attributes)
        act = Act(body.behaviour, Decimal(body.quantity), on, body.unit, body.province, attributes)
        return _json(explain(parts.rules(), act, body.lang))

    @router.get(
        "/spread",
        response_model=SpreadTold,
        responses=refusals("unknown_behaviour", "rulebook_broken", "invalid"),
    )
    async def compare_schemes(
        parts: Engine,
        behaviour: Annotated[Slug | None, Query(description="One behaviour; all if left out.")] = None,
        on: Annotated[DayText | None, Query()] = None,
    ) -> Response:
        """What published schemes credit for the same acts, beside the rulebook in force, with ratios."""
        try:
            files = await asyncio.to_thread(_shipped, parts.settings.game_rules)
        except RulebookError as problem:  # the folder was edited while the engine runs
            told = [str(one) for one in problem.problems[:PROBLEMS_TOLD_MAX]]
            raise Rejected("rulebook_broken", problems=told) from problem
        day = _day(parts, on)
        found = spreads(Files(parts.rules(), files.models), day, behaviour)
        return _json({"on": day.isoformat(), "acts": [document(one) for one in found]})

    @router.get("/schemas/{kind}", response_model=dict[str, Any], responses=refusals("not_found", "invalid"))
    async def schema(kind: Annotated[str, InPath(pattern=r"^[a-z]{1,40}$")]) -> Response:
        """The JSON Schema of a kind of rule file, for editors: behaviour, factor, species, programme, game …"""
        if kind not in schemas.kinds():
            raise Rejected("not_found", known=list(schemas.kinds()))
        return _json(schemas.json_schema(kind))

    return router


async def _in_force(parts: Parts) -> Mapping[str, str] | None:
    """The files of the rulebook in force; None where it is not kept: then the folder counts. Raises Rejected."""
    try:
        async with parts.db.snapshot() as reader:
            return await stored_files(reader, parts.rules().hash)
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem


@lru_cache(maxsize=1)
def _shipped(folder: Path | None) -> Files:
    """The files of the engine's folder, read once: what other schemes publish changes with a restart."""
    return load_files(folder)


def _json(told: object) -> Response:
    return Response(_encode(told), media_type="application/json")


def _day(parts: Parts, text: str | None) -> date:
    return date.fromisoformat(text) if text else local_day(parts.clock.now_ms(), "UTC")
