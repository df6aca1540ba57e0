"""Simulations of rulebooks and reports from the journal over HTTP: begun, looked at, read, taken away.

Each takes minutes, so a call begins it and others ask how far it is. It is worked out in a process of its own.
"""

import asyncio
import gzip
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from engine.api.callers import UUID7, Engine, IdempotencyKey, operator_caller
from engine.api.fields import Body, Slug
from engine.api.parts import Parts
from engine.api.problems import refusals, sentence
from engine.api.workbench import PROBLEMS_TOLD_MAX, DayText, FileMap
from engine.core.errors import Rejected
from engine.core.units import local_day, rfc3339
from engine.in_force import stored_files
from engine.publishing import current, edition_of
from engine.simulate.population import shipped_populations
from engine.simulate.trials import COMPARED_RUNS
from engine.store.database import DatabaseAway, Reader
from engine.workbench.apart import Apart
from engine.workbench.asked import TRACED
from engine.workbench.studies import Study

USERS_MAX = 10_000  # some 700 MB
DAYS_MAX = 1_830
RUNS_MAX = 20
REPORT_DAYS_MAX = 1_100
USERS_USUAL, DAYS_USUAL = 300, 90
POPULATION_CHARACTERS_MAX = 65_536
TRACE_CHARACTERS_MAX = 8 * 1024 * 1024
TRACES_MAX = 6
TRACED_BYTES_MAX = 16 * 1024 * 1024
SIMULATIONS_PATH = "/v1/rules/simulations"
PAGE_POLICY = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
        "img-src data:",
    )
)

Simulation, Report = "simulation", "report"
StudyPath = Annotated[
    str, InPath(pattern=r"^[0-9a-f]{8}-" + UUID7[1:], description="The id that beginning it gave.")
]


class NamedRulebook(Body):
    """A rulebook: an edition, or files that are sent; neither: the one in force."""

    edition: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    files: FileMap | None = None


class TraceSent(Body):
    """A file of real acts, as text: daily steps (fitbit), rentals of shared bikes (bike), charging sessions (ev)."""

    format: Literal["fitbit", "bike", "ev"]
    text: Annotated[str, Field(min_length=1, max_length=TRACE_CHARACTERS_MAX)]
    behaviour: (
        Annotated[Slug, Field(description="What its acts are; left out: what the format says.")] | None
    ) = None


class SimulationAsked(Body):
    """Who plays for how long by which rules. Two rulebooks are compared on the same people and seeds.

    Described people (`population`), people who do what `traces` say, or with `from_journal` the real users again.
    """

    rulebooks: Annotated[list[NamedRulebook], Field(min_length=1, max_length=2)] = Field(
        default_factory=lambda: [NamedRulebook()], description="One or two; the one in force if left out."
    )
    population: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")] | None = Field(
        None,
        description="One that came with the engine: city-and-town if left out, traced where traces are sent.",
    )
    population_file: Annotated[str, Field(max_length=POPULATION_CHARACTERS_MAX)] | None = Field(
        None, description="The text of a population's YAML file instead."
    )
    traces: Annotated[list[TraceSent], Field(max_length=TRACES_MAX)] = Field(
        default_factory=list,
        description="Real acts; each subject is a user once unless `users` says otherwise.",
    )
    from_journal: bool = Field(
        False,
        description="The engine's real users once more, under one rulebook: forecast beside actual. They bring "
        "their own number, days and acts.",
    )
    users: Annotated[int, Field(ge=1, le=USERS_MAX)] | None = Field(
        None, description=f"{USERS_USUAL} if left out; of traces as many as they have subjects."
    )
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] | None = Field(
        None, description=f"{DAYS_USUAL} if left out; of traces as many as they have."
    )
    start_on: Annotated[DayText, Field(pattern=r"^20")] | None = Field(
        None,
        description="First day. If left out: that of the traces, else the population's; of two rulebooks the day on "
        "which the last of what differs begins to, where that is later.",
    )
    runs: Annotated[int, Field(ge=1, le=RUNS_MAX)] | None = Field(
        None, description="Runs with seeds from `seed` on; two rulebooks: 3, else 1."
    )
    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] = Field(1, description="Same seed, same grams.")


class ReportAsked(Body):
    """Which days of the journal, and whether an arm is told for each rulebook."""

    from_on: DayText = Field(description="First day, 2026-12-01.")
    until_on: DayText = Field(description="Last day, which is part of it.")
    by: Literal["rules"] | None = Field(None, description="`rules`: an arm for each rulebook.")


class StudyProblem(BaseModel):
    """Why there is no result; further members explain the code."""

    model_config = ConfigDict(extra="allow")

    code: str
    title: str


class StudyTold(BaseModel):
    """How far a simulation or report is, and where its results are."""

    id: str
    state: str = Field(description="waiting, running, done or failed.")
    asked: dict[str, Any] = Field(description="What was asked, without files.")
    done: int = Field(description="User-days simulated, or rows of the journal read (reports, from_journal).")
    total: int = Field(description="Of so many; 0 as long as that is not known.")
    started_at: str
    ended_at: str | None = None
    problem: StudyProblem | None = None
    tables: str | None = Field(None, description="Where the tables are, as JSON.")
    page: str | None = Field(
        None, description="Where the page with charts is; null without the extra `charts`."
    )


class TablesTold(BaseModel):
    """The tables of `saxaul rules simulate --json` and `report --json`."""

    about: list[str]
    tables: dict[str, list[dict[str, Any]]]


def make_router() -> APIRouter:
    """The routes of both kinds."""
    router = APIRouter(prefix="/v1/rules", tags=["rules"], dependencies=[Depends(operator_caller)])
    apart = Apart()

    @router.post(
        "/simulations",
        status_code=202,
        response_model=StudyTold,
        responses=refusals(
            *("too_costly", "bad_population", "unknown_edition", "rulebook_missing", "rulebook_broken"),
            *("overloaded", "key_reused"),
        ),
    )
    async def begin_simulation(parts: Engine, key: IdempotencyKey, body: SimulationAsked) -> Response:
        """Begin to run people, described, traced or real, through rules in virtual time. Nothing real is touched."""
        rulebooks = await _rulebooks(parts, body.rulebooks)
        job = {"rulebooks": rulebooks, "folder": _folder(parts), "seed": body.seed}
        asked = {"rulebooks": [one["name"] for one in rulebooks], "seed": body.seed}
        if body.from_journal:
            await _check_replay(parts, apart, body)
            real = {"from_journal": True, "database_url": parts.settings.database_url}
            return _begun(
                parts, Simulation, key, {**asked, "from_journal": True}, job | real, needs_secrets=True
            )
        described, people = _people(parts, body)
        return _begun(parts, Simulation, key, {**asked, **described}, job | people)

    @router.post(
        "/reports",
        status_code=202,
        response_model=StudyTold,
        responses=refusals("too_costly", "overloaded", "key_reused"),
    )
    async def begin_report(parts: Engine, key: IdempotencyKey, body: ReportAsked) -> Response:
        """Begin to read what really happened in some days from the journal, in the tables of a simulation."""
        first, last = date.fromisoformat(body.from_on), date.fromisoformat(body.until_on)
        days = (last - first).days + 1
        if not 1 <= days <= REPORT_DAYS_MAX:
            raise Rejected("too_costly", days=days, days_max=REPORT_DAYS_MAX)
        [in_force] = await _rulebooks(parts, [NamedRulebook()])
        asked = {"from_on": body.from_on, "until_on": body.until_on, "by": body.by}
        job = {
            "files": in_force["files"],
            "folder": _folder(parts),
            "database_url": parts.settings.database_url,
            "by_rules": body.by == "rules",
            "first": body.from_on,
            "last": body.until_on,
        }
        return _begun(parts, Report, key, asked, job, needs_secrets=True)

    for kind in (Simulation, Report):
        _add_reads(router, kind)
    return router


def _add_reads(router: APIRouter, kind: str) -> None:
    """The same four calls for simulations and for reports."""
    path, missing = f"/{kind}s", ("unknown_study", "study_lost", "invalid")

    @router.get(path, response_model=list[StudyTold], name=f"list_{kind}s")
    async def listed(parts: Engine) -> list[dict[str, Any]]:
        """Those that this process knows, the newest first."""
        return [_told(study) for study in parts.studies.all(kind)]

    @router.get(
        f"{path}/{{study}}", response_model=StudyTold, responses=refusals(*missing), name=f"show_{kind}"
    )
    async def shown(parts: Engine, study: StudyPath) -> dict[str, Any]:
        """How far it is, and where its results are."""
        return _told(parts.studies.get(kind, study))

    @router.get(
        f"{path}/{{study}}/tables",
        response_model=TablesTold,
        responses=refusals(*missing, "study_unfinished"),
        name=f"read_{kind}_tables",
    )
    async def tables(request: Request, parts: Engine, study: StudyPath) -> Response:
        """Its tables."""
        found = _finished(parts.studies.get(kind, study))
        return await _packed(request, found.tables, "application/json")

    @router.get(
        f"{path}/{{study}}/page",
        responses={
            200: {"content": {"text/html": {"schema": {"type": "string"}}}},
            **refusals(*missing, "study_unfinished", "charts_missing"),
        },
        response_class=Response,
        name=f"read_{kind}_page",
    )
    async def page(request: Request, parts: Engine, study: StudyPath) -> Response:
        """Its page with charts, which asks nobody for anything."""
        found = _finished(parts.studies.get(kind, study))
        if found.page is None:
            raise Rejected("charts_missing")
        answer = await _packed(request, found.page, "text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = PAGE_POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    @router.delete(f"{path}/{{study}}", status_code=204, responses=refusals(*missing), name=f"stop_{kind}")
    async def stopped(parts: Engine, study: StudyPath) -> Response:
        """Stop it where it runs, and forget it with its results."""
        await parts.studies.drop(kind, study)
        return Response(status_code=204)


def _people(parts: Parts, body: SimulationAsked) -> tuple[dict[str, Any], dict[str, Any]]:
    """Who plays, as it is told to others and as it is worked out. Raises Rejected(too_costly | bad_population)."""
    population = body.population or (TRACED if body.traces else "city-and-town")
    if body.population_file is None and population not in shipped_populations():
        raise Rejected("bad_population", known=shipped_populations())
    users, days = body.users, body.days
    if not body.traces:
        users, days = users or USERS_USUAL, days or DAYS_USUAL
    runs = body.runs or (COMPARED_RUNS if len(body.rulebooks) > 1 else 1)
    trials = runs * len(body.rulebooks)
    _check_size(parts, (users or 1) * (days or 1) * trials)
    size = {"users": users, "days": days, "start": body.start_on, "runs": runs}
    told = {"population": population if body.population_file is None else "as sent", **size}
    if body.traces:
        told["traces"] = [one.format for one in body.traces]
    limits = {
        "users_max": USERS_MAX,
        "days_max": DAYS_MAX,
        "user_days_max": parts.settings.simulation_user_days_max // trials,
    }
    return told, {
        "population": population,
        "population_file": body.population_file,
        "traces": [one.model_dump() for one in body.traces],
        "limits": limits,
        **size,
    }


async def _check_replay(parts: Parts, apart: Apart, body: SimulationAsked) -> None:
    """Refuse what real users bring themselves, and a broken rulebook before it meets the database's password.

    Raises Rejected(invalid | rulebook_broken | overloaded | too_costly).
    """
    theirs = ("population", "population_file", "traces", "users", "days", "start_on", "runs")
    named = [name for name in theirs if getattr(body, name)]
    if len(body.rulebooks) > 1:
        named.append("rulebooks.1")
    if named:
        problem = "not with from_journal: real users bring it, and one rulebook is beside what happened"
        raise Rejected("invalid", errors=[{"field": name, "problem": problem} for name in named])
    if body.rulebooks[0].files is not None:
        today = local_day(parts.clock.now_ms(), "UTC").isoformat()
        job = {"job": "check", "after": body.rulebooks[0].files, "folder": None, "today": today}
        checked = await apart.work_out(job)
        if not checked["ok"]:
            raise Rejected("rulebook_broken", problems=checked["problems"][:PROBLEMS_TOLD_MAX])


def _check_size(parts: Parts, user_days: int) -> None:
    most = parts.settings.simulation_user_days_max
    if user_days > most:
        raise Rejected("too_costly", user_days=user_days, user_days_max=most)


def _folder(parts: Parts) -> str | None:
    return str(parts.settings.game_rules.resolve()) if parts.settings.game_rules else None


async def _rulebooks(parts: Parts, named: list[NamedRulebook]) -> list[dict[str, Any]]:
    """Name and files of each; no files where the engine's folder counts. Raises Rejected."""
    try:
        async with parts.db.snapshot() as reader:
            return [await _rulebook(parts, reader, one) for one in named]
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem


async def _rulebook(parts: Parts, reader: Reader, named: NamedRulebook) -> dict[str, Any]:
    if named.edition is not None and named.files is not None:
        raise Rejected("invalid", errors=[{"field": "rulebooks", "problem": "an edition or files, not both"}])
    if named.files is not None:
        return {"name": "as sent", "files": named.files}
    if named.edition is None:
        found = (await current(reader, parts.clock.now_ms())).get("in_force")
        files = await stored_files(reader, parts.rules().hash)
        return {"name": f"in force, edition {found['edition']}" if found else "in force", "files": files}
    edition = await edition_of(reader, named.edition)
    files = await stored_files(reader, edition.hash)
    if files is None:
        raise Rejected("rulebook_missing", rulebook=edition.hash)
    return {"name": f"edition {named.edition}", "files": files}


def _begun(
    parts: Parts,
    kind: str,
    key: str,
    asked: Mapping[str, Any],
    job: Mapping[str, Any],
    needs_secrets: bool = False,
) -> Response:
    study, was_there = parts.studies.start(kind, key, asked, job, needs_secrets)
    headers = {"Location": f"/v1/rules/{kind}s/{study.id}"}
    if was_there:
        headers["Idempotency-Replayed"] = "true"
    return Response(StudyTold(**_told(study)).model_dump_json(), 202, headers, "application/json")


def _told(study: Study) -> dict[str, Any]:
    place = f"/v1/rules/{study.kind}s/{study.id}"
    problem = None
    if study.problem is not None:
        problem = {**study.problem, "title": sentence(study.problem["code"])}
    return {
        "id": study.id,
        "state": study.state,
        "asked": dict(study.asked),
        "done": study.done,
        "total": study.total,
        "started_at": rfc3339(study.started_at),
        "ended_at": None if study.ended_at is None else rfc3339(study.ended_at),
        "problem": problem,
        "tables": f"{place}/tables" if study.tables else None,
        "page": f"{place}/page" if study.page else None,
    }


def _finished(study: Study) -> Study:
    if study.tables is None:
        raise Rejected("study_unfinished", state=study.state)
    return study


async def _packed(request: Request, body: bytes | None, kind: str) -> Response:
    """As it is kept where the caller takes gzip, as nearly all do; else unpacked, off the loop."""
    assert body is not None
    headers = {"Vary": "Accept-Encoding", "Cache-Control": "private, no-store"}
    if "gzip" in request.headers.get("accept-encoding", "").lower():
        return Response(body, 200, {**headers, "Content-Encoding": "gzip"}, kind)
    return Response(await asyncio.to_thread(gzip.decompress, body), 200, headers, kind)
