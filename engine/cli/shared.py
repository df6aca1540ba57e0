"""What all commands share: exit codes, settings, failures in one line, output."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

    from engine.settings import Settings


T = TypeVar("T")


class Exit(IntEnum):
    """Exit codes: 0 all is well, 1 problems were found, 2 wrong use or wrong settings."""

    OK = 0
    PROBLEMS = 1
    USAGE = 2


DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="sqlite:///path or postgresql://…, instead of SAXAUL_DATABASE_URL."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]


class Failure(Exception):
    """What went wrong, in one line that also says how to mend it."""

    def __init__(self, text: str, exit_code: Exit = Exit.PROBLEMS) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def say(text: str = "") -> None:
    """A line on standard output."""
    typer.echo(text)


def note(text: str) -> None:
    """A line for the person at the terminal, kept out of standard output."""
    typer.echo(text, err=True)


def say_json(document: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def settings_with(database: str | None = None, **overrides: Any) -> "Settings":
    """The settings of the environment, with what the command line says put over them. Raises Failure."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError as Unreadable

    from engine.settings import Settings

    given = {name: value for name, value in overrides.items() if value is not None}
    if database is not None:
        given["database_url"] = database
    try:
        settings = Settings(**given)
    except ValidationError as problem:
        names = ["_".join(str(part) for part in error["loc"]).upper() for error in problem.errors()]
        told = [error["msg"] for error in problem.errors()]
        lines = [f"SAXAUL_{name}: {text}" for name, text in zip(names, told, strict=True)]
        raise Failure("; ".join(lines), Exit.USAGE) from problem
    except Unreadable as problem:  # a list that is no JSON; its value is not repeated
        names = [name for name in Settings.model_fields if f'"{name}"' in str(problem)]
        told = f"SAXAUL_{names[0].upper()}" if names else "a setting"
        shape = (
            'object, such as {"lin": "…"}'
            if names == ["operators"]
            else 'list, such as ["https://game.example"]'
        )
        raise Failure(f"{told} is a JSON {shape}", Exit.USAGE) from problem
    _check_url(settings.database_url)
    return settings


def _check_url(url: str) -> None:
    from engine.store.database import sqlite_path

    if not url.startswith(("sqlite:", "postgresql://", "postgres://")):
        expected = "sqlite:///path or postgresql://user:password@host/name"
        raise Failure(f"the database url {_hidden(url)!r} is not {expected}", Exit.USAGE)
    if url.startswith("sqlite"):
        try:
            sqlite_path(url)
        except ValueError as problem:
            raise Failure(str(problem), Exit.USAGE) from problem


def _hidden(url: str) -> str:
    """A url without its password."""
    before, at, after = url.rpartition("@")
    return f"{before.split('://', 1)[0]}://…@{after}" if at else url


def shown_url(settings: "Settings") -> str:
    """The database url as it may be printed."""
    return _hidden(settings.database_url)


@contextmanager
def failures() -> Iterator[None]:
    """Turn what a command may meet into one line on standard error and an exit code."""
    try:
        yield
    except Exception as problem:
        told = _told(problem)
        if told is None:
            raise
        _fail(*told)


def _told(problem: Exception) -> tuple[str, Exit] | None:
    """What to say of a failure that has a name, and the exit code; None for a fault of our own."""
    from engine.admin import AdminError
    from engine.main import EngineBusy
    from engine.rulebook import RulebookError
    from engine.settings import SettingsError
    from engine.store.database import DatabaseAway

    if isinstance(problem, Failure):
        return str(problem), problem.exit_code
    if isinstance(problem, SettingsError):
        return str(problem), Exit.USAGE
    if isinstance(problem, RulebookError):
        return f"{problem}\nMend the files, then try `saxaul rules check`.", Exit.PROBLEMS
    if isinstance(problem, EngineBusy):
        return f"{problem}; end it first (Ctrl-C), or name another --database", Exit.PROBLEMS
    if isinstance(problem, DatabaseAway):
        return f"the database can't be used: {problem}", Exit.PROBLEMS
    if isinstance(problem, OSError) and problem.filename is not None:
        return f"can't use {Path(problem.filename).resolve()}: {problem.strerror}", Exit.PROBLEMS
    return (str(problem), Exit.PROBLEMS) if isinstance(problem, AdminError) else None


def _fail(text: str, exit_code: Exit) -> NoReturn:
    typer.echo(f"saxaul: {text}", err=True)
    raise typer.Exit(exit_code)


def run(work: Coroutine[Any, Any, T], serves: bool = False) -> T:
    """Run a command's coroutine to its end, with failures in one line; what `serves` gets the faster loop."""
    with failures():
        try:
            with asyncio.Runner(loop_factory=_fast_loop if serves else None) as runner:
                return runner.run(work)
        except KeyboardInterrupt:
            typer.echo("saxaul: stopped; what was acknowledged is stored", err=True)
            raise typer.Exit(130) from None


def _fast_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not made for this system
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def is_terminal() -> bool:
    """Whether somebody watches: progress and live views are only for them."""
    return sys.stderr.isatty()


def byte_progress(text: str, path: Path) -> tuple["Progress", Any]:
    """A bar over a file's bytes on standard error; silent where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(text), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=not is_terminal(), transient=True)
    return bar, bar.add_task(text, total=path.stat().st_size if path.is_file() else None)


@contextmanager
def step_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A line on standard error that says what is being gone through; silent where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"))
    bar = Progress(*columns, console=Console(stderr=True), disable=not is_terminal(), transient=True)
    tasks: dict[str, Any] = {}

    def progress(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total or None)
        bar.update(tasks[what], completed=done)

    with bar:
        yield progress
