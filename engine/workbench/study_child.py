"""The other end of `studies`: reads one study from standard input, works it out, and tells how far it is.

Runs in a process of its own that gives way to the engine. Prints a JSON line for each step, and one for the end. Ends
with the process that asked for it, whatever becomes of that.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from engine.workbench.child import laid_out, limit

if TYPE_CHECKING:
    from engine.core.rules import RuleBook
    from engine.rulebook import RulebookError
    from engine.simulate.comparing import Difference
    from engine.simulate.days import Trace
    from engine.simulate.figures import Figures
    from engine.simulate.journal import Progress as Steps
    from engine.simulate.population import Population
    from engine.store.database import Reader
    from engine.workbench.asked import TraceFile

    Made = tuple[Sequence[Figures], list[str], Sequence[Difference]]

CPU_S_MAX = 3_600
NICE = 10
TELL_EVERY_S = 0.5
PROBLEMS_TOLD_MAX = 20
PROBLEM_CHARACTERS_MAX = 2_000
TRACEBACK_CHARACTERS_MAX = 4_000
LABELS = ("A", "B")

T = TypeVar("T")
Tell = Callable[[Mapping[str, Any]], None]


class Refused(Exception):
    """The study can't be worked out: a code with fields, as the HTTP edge says it."""

    def __init__(self, code: str, **fields: Any) -> None:
        super().__init__(code)
        self.told = {"code": code, **fields}


def work_out(study: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The tables, and the page where the charts' library is there. Raises Refused."""
    from engine.simulate.export import ExtraMissing
    from engine.simulate.page import page_of
    from engine.simulate.trials import document

    runs, about, found = _simulate(study, tell) if study["kind"] == "simulation" else _report(study, tell)
    result = {"tables": _packed(json.dumps(document(runs, about, found), ensure_ascii=False, default=str))}
    title = (
        "Saxaul: what the rules do 规则模拟"
        if study["kind"] == "simulation"
        else "Saxaul: what happened 实际情况"
    )
    with suppress(ExtraMissing):
        result["page"] = _packed(page_of(title, about, runs, found))
    return result


def _told(problem: RulebookError) -> list[dict[str, Any]]:
    """What is wrong with a rulebook, as check and diff tell it."""
    from engine.workbench.checking import PROBLEM

    return [{name: getattr(one, name) for name in PROBLEM} for one in problem.problems[:PROBLEMS_TOLD_MAX]]


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6)).decode()


def _simulate(study: Mapping[str, Any], tell: Tell) -> Made:
    from engine.simulate.trials import about_trial, compared, simulated, typical_of

    named = study["rulebooks"]
    with tempfile.TemporaryDirectory(prefix="saxaul-study-") as place:
        folders, books = _rulebooks(named, Path(place), study["folder"])
        if study.get("from_journal"):
            return _replay(study, *books.values(), tell)
        population, traces, told = _people(study, Path(place), books)
        typical = typical_of(folders.values(), population)
    made = simulated(
        books,
        population,
        typical,
        traces=traces,
        seed=study["seed"],
        runs=study["runs"],
        processes=1,
        progress=_steps(population.users * population.days * study["runs"] * len(books), tell),
    )
    first = [figures[0] for figures in made]
    about = [*about_trial(population, first[0], study["runs"], study["seed"]), *told]
    about += [
        f"{label}: {one['name']} ({book.hash[:12]})"
        for (label, book), one in zip(books.items(), named, strict=True)
    ]
    return first, about, compared(made)


def _rulebooks(
    named: Sequence[Mapping[str, Any]], place: Path, folder: str | None
) -> tuple[dict[str, Path], dict[str, RuleBook]]:
    """Folders and rulebooks by the label that tables give them. Raises Refused."""
    from engine.rulebook import RulebookError, load_rulebook, shipped_rules

    labels = LABELS[: len(named)] if len(named) > 1 else ("the rulebook",)
    folders = {
        label: laid_out(one["files"], place / label, folder) or shipped_rules()
        for label, one in zip(labels, named, strict=True)
    }
    books = {}
    for label, found in folders.items():
        try:
            books[label] = load_rulebook(found)
        except RulebookError as problem:
            raise Refused("rulebook_broken", rulebook=label, problems=_told(problem)) from problem
    return folders, books


def _people(
    study: Mapping[str, Any], place: Path, books: Mapping[str, RuleBook]
) -> tuple[Population, list[Trace], list[str]]:
    """Who plays, what they really did, and a sentence on each thing that nobody named. Raises Refused."""
    from engine.ingest.lines import UnreadableFile
    from engine.simulate.population import PopulationError, check_population
    from engine.workbench.asked import UnknownBehaviour, peopled, read_traces

    rulebooks = list(books.values())
    try:
        population = _population(study, place)
        check_population(population, books)
        traces, left_out = read_traces(_trace_files(study["traces"], place), rulebooks)
    except PopulationError as problem:
        raise Refused("bad_population", problem=str(problem)[:PROBLEM_CHARACTERS_MAX]) from problem
    except UnknownBehaviour as problem:
        raise Refused("bad_trace", problem=str(problem), known=list(problem.known)) from problem
    except UnreadableFile as problem:
        words = str(problem).replace(f"{place}/", "")
        raise Refused("bad_trace", problem=words[:PROBLEM_CHARACTERS_MAX]) from problem
    start = date.fromisoformat(study["start"]) if study["start"] is not None else None
    population, told = peopled(
        population, traces, rulebooks, study["users"], study["days"], start, "start_on"
    )
    asked = {
        "users": population.users,
        "days": population.days,
        "user_days": population.users * population.days,
    }
    if any(asked[name] > study["limits"][f"{name}_max"] for name in asked):
        raise Refused("too_costly", **asked, **study["limits"])
    return population, traces, [*left_out, *told]


def _trace_files(sent: Sequence[Mapping[str, Any]], place: Path) -> Iterator[TraceFile]:
    """The traces that were sent, as files named by their place and format: trace-1-fitbit.csv."""
    from engine.workbench.asked import TraceFile

    for number, one in enumerate(sent, 1):
        file = place / f"trace-{number}-{one['format']}.csv"
        file.write_text(one["text"], encoding="utf-8", newline="")
        yield TraceFile(one["format"], file, one["behaviour"])


def _population(study: Mapping[str, Any], place: Path) -> Population:
    from engine.simulate.population import SHIPPED, read_population

    file = SHIPPED / f"{study['population']}.yaml"
    if study["population_file"] is not None:
        file = place / "population.yaml"
        file.write_text(study["population_file"], encoding="utf-8")
    return read_population(file)[0]


def _replay(study: Mapping[str, Any], book: RuleBook, tell: Tell) -> Made:
    """The real users once more: what happened beside what it comes to under the rulebook. Raises Refused."""
    from engine.simulate.comparing import differences
    from engine.simulate.replay import TooLarge
    from engine.simulate.trials import beside_real_users, real_users

    [named] = study["rulebooks"]
    try:
        read, days = _from_database(study, lambda view, steps: real_users(view, book, steps), tell)
    except TooLarge as problem:
        raise Refused("too_costly", reason=str(problem)) from problem
    runs, about = beside_real_users(read, days, named["name"], book, study["seed"])
    return runs, about, differences(runs[:1], runs[1:])


def _steps(total: int, tell: Tell) -> Callable[[int], None]:
    """Tells of user-days that are done, a few times a second at most."""
    done, told_at = 0, 0.0

    def step(user_days: int) -> None:
        nonlocal done, told_at
        done += user_days
        if time.monotonic() - told_at >= TELL_EVERY_S or done >= total:
            told_at = time.monotonic()
            tell({"done": done, "total": total})

    return step


def _report(study: Mapping[str, Any], tell: Tell) -> Made:
    from engine.rulebook import RulebookError, load_rulebook
    from engine.simulate.between import Between
    from engine.simulate.trials import about_report, reported

    with tempfile.TemporaryDirectory(prefix="saxaul-study-") as place:
        try:
            book = load_rulebook(laid_out(study["files"], Path(place, "rules"), study["folder"]))
        except RulebookError as problem:
            raise Refused("rulebook_broken", problems=_told(problem)) from problem
    between = Between(date.fromisoformat(study["first"]), date.fromisoformat(study["last"]))
    arms = _from_database(
        study, lambda view, steps: reported(view, book, study["by_rules"], between, steps), tell
    )
    return arms, about_report(arms), []


def _from_database(study: Mapping[str, Any], read: Callable[[Reader, Steps], Awaitable[T]], tell: Tell) -> T:
    """What is read of the engine's database on one snapshot. Raises Refused."""
    from engine.simulate.journal import EmptyDatabase
    from engine.store.database import DatabaseAway

    try:
        return asyncio.run(_on_snapshot(study["database_url"], read, tell))
    except EmptyDatabase as problem:
        raise Refused("nothing_to_report", problem=str(problem)) from problem
    except DatabaseAway as problem:
        raise Refused("unavailable") from problem


async def _on_snapshot(url: str, read: Callable[[Reader, Steps], Awaitable[T]], tell: Tell) -> T:
    from engine.store.opening import open_database

    db = await open_database(url, 1)
    try:
        async with db.snapshot() as view:
            return await read(view, lambda what, done, total: tell({"done": done, "total": total}))
    finally:
        await db.close()


def _end_with_parent() -> None:
    """The parent holds our standard input open for as long as it wants the result."""
    sys.stdin.buffer.read()
    os._exit(1)


def _tell(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """One study in, its result out."""
    with suppress(OSError):
        os.nice(NICE)
    limit(cpu_s_max=CPU_S_MAX)
    study = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _tell({"result": work_out(study, _tell)})
    except Refused as refusal:
        _tell({"refused": refusal.told})
    except MemoryError:
        os._exit(1)
    except Exception:
        _tell({"failed": traceback.format_exc()[-TRACEBACK_CHARACTERS_MAX:]})
    os._exit(0)  # without waiting for the thread that reads


if __name__ == "__main__":
    main()
