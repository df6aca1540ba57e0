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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.workbench.child import laid_out, limit

if TYPE_CHECKING:
    from engine.rulebook import RulebookError
    from engine.simulate.comparing import Difference
    from engine.simulate.figures import Figures
    from engine.simulate.population import Population

    Made = tuple[Sequence[Figures], list[str], Sequence[Difference]]

CPU_S_MAX = 3_600
NICE = 10
TELL_EVERY_S = 0.5
PROBLEMS_TOLD_MAX = 20
PROBLEM_CHARACTERS_MAX = 2_000
TRACEBACK_CHARACTERS_MAX = 4_000
LABELS = ("A", "B")

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
    from engine.rulebook import RulebookError, load_rulebook, shipped_rules
    from engine.simulate.population import PopulationError, check_population
    from engine.simulate.trials import about_trial, compared, simulated, typical_of
    from engine.workbench.difference import settled_on

    named = study["rulebooks"]
    labels = LABELS[: len(named)] if len(named) > 1 else ("the rulebook",)
    with tempfile.TemporaryDirectory(prefix="saxaul-study-") as place:
        folders = {
            label: laid_out(one["files"], Path(place, label), study["folder"]) or shipped_rules()
            for label, one in zip(labels, named, strict=True)
        }
        books = {}
        for label, folder in folders.items():
            try:
                books[label] = load_rulebook(folder)
            except RulebookError as problem:
                raise Refused("rulebook_broken", rulebook=label, problems=_told(problem)) from problem
        try:
            population = _population(study, Path(place))
            check_population(population, books)
        except PopulationError as problem:
            raise Refused("bad_population", problem=str(problem)[:PROBLEM_CHARACTERS_MAX]) from problem
        typical = typical_of(folders.values(), population)
    rulebooks = list(books.values())
    if study["start"] is not None:
        population = population.model_copy(update={"start": date.fromisoformat(study["start"])})
    elif len(rulebooks) > 1:
        day = settled_on(rulebooks[0], rulebooks[1], population.start)
        population = population.model_copy(update={"start": day})
    total = population.users * population.days * study["runs"] * len(books)
    steps = _steps(total, tell)
    made = simulated(
        books, population, typical, seed=study["seed"], runs=study["runs"], processes=1, progress=steps
    )
    first = [figures[0] for figures in made]
    about = about_trial(population, first[0], study["runs"], study["seed"])
    about += [
        f"{label}: {one['name']} ({books[label].hash[:12]})" for label, one in zip(labels, named, strict=True)
    ]
    return first, about, compared(made)


def _population(study: Mapping[str, Any], place: Path) -> Population:
    from engine.simulate.population import SHIPPED, read_population

    file = SHIPPED / f"{study['population']}.yaml"
    if study["population_file"] is not None:
        file = place / "population.yaml"
        file.write_text(study["population_file"], encoding="utf-8")
    population, _ = read_population(file)
    return population.model_copy(update={"users": study["users"], "days": study["days"]})


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
    from engine.simulate.journal import EmptyDatabase
    from engine.simulate.trials import about_report
    from engine.store.database import DatabaseAway

    with tempfile.TemporaryDirectory(prefix="saxaul-study-") as place:
        try:
            book = load_rulebook(laid_out(study["files"], Path(place, "rules"), study["folder"]))
        except RulebookError as problem:
            raise Refused("rulebook_broken", problems=_told(problem)) from problem
    try:
        arms = asyncio.run(_arms(study, book, tell))
    except EmptyDatabase as problem:
        raise Refused("nothing_to_report", problem=str(problem)) from problem
    except DatabaseAway as problem:
        raise Refused("unavailable") from problem
    return arms, about_report(arms), []


async def _arms(study: Mapping[str, Any], book: Any, tell: Tell) -> list[Figures]:
    from engine.simulate.between import Between
    from engine.simulate.trials import reported
    from engine.store.opening import open_database

    first, last = (date.fromisoformat(study[one]) if study[one] else None for one in ("first", "last"))
    db = await open_database(study["database_url"], 1)
    try:
        async with db.snapshot() as view:
            return await reported(
                view,
                book,
                study["by_rules"],
                Between(first, last),
                lambda what, done, total: tell({"done": done, "total": total}),
            )
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
