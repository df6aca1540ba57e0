"""What all commands share: exit codes, settings, failures in one line, output."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from engine.admin import AdminError
from engine.main import EngineBusy
from engine.rulebook import RulebookError
from engine.settings import Settings, SettingsError
from engine.store.database import DatabaseAway, sqlite_path

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


def out() -> Console:
    """Standard output; never wraps what a machine or a copy-and-paste will read."""
    return Console(highlight=False, soft_wrap=True)


def say(text: str = "") -> None:
    """A line on standard output."""
    typer.echo(text)


def note(text: str) -> None:
    """A line for the person at the terminal, kept out of standard output."""
    typer.echo(text, err=True)


def say_json(document: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def settings_with(database: str | None = None, **overrides: Any) -> Settings:
    """The settings of the environment, with what the command line says put over them. Raises Failure."""
    given = {name: value for name, value in overrides.items() if value is not None}
    if database is not None:
        given["database_url"] = database
    try:
        settings = Settings(**given)
    except ValidationError as problem:
        lines = [
            f"SAXAUL_{'_'.join(str(part) for part in error['loc']).upper()}: {error['msg']}"
            for error in problem.errors()
        ]
        raise Failure("; ".join(lines), Exit.USAGE) from problem
    if not settings.database_url.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise Failure(
            f"the database url {_hidden(settings.database_url)!r} is neither sqlite:///path nor "
            "postgresql://user:password@host/name",
            Exit.USAGE,
        )
    if settings.database_url.startswith("sqlite"):
        try:
            sqlite_path(settings.database_url)
        except ValueError as problem:
            raise Failure(str(problem), Exit.USAGE) from problem
    return settings


def _hidden(url: str) -> str:
    """A url without its password."""
    before, at, after = url.rpartition("@")
    return f"{before.split('://', 1)[0]}://…@{after}" if at else url


def shown_url(settings: Settings) -> str:
    """The database url as it may be printed."""
    return _hidden(settings.database_url)


@contextmanager
def failures() -> Iterator[None]:
    """Turn what a command may meet into one line on standard error and an exit code."""
    try:
        yield
    except Failure as problem:
        _fail(str(problem), problem.exit_code)
    except SettingsError as problem:
        _fail(str(problem), Exit.USAGE)
    except RulebookError as problem:
        _fail(f"{problem}\nMend the files, then try `saxaul rules check`.", Exit.PROBLEMS)
    except EngineBusy as problem:
        _fail(f"{problem}; end it first (Ctrl-C), or name another --database", Exit.PROBLEMS)
    except AdminError as problem:
        _fail(str(problem), Exit.PROBLEMS)
    except DatabaseAway as problem:
        _fail(f"the database can't be used: {problem}", Exit.PROBLEMS)


def _fail(text: str, exit_code: Exit) -> NoReturn:
    typer.echo(f"saxaul: {text}", err=True)
    raise typer.Exit(exit_code)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end, with failures in one line."""
    with failures():
        try:
            return asyncio.run(work)
        except KeyboardInterrupt:
            typer.echo("saxaul: stopped; what was acknowledged is stored", err=True)
            raise typer.Exit(130) from None


def is_terminal() -> bool:
    """Whether somebody watches: progress and live views are only for them."""
    return sys.stderr.isatty()


def byte_progress(text: str, path: Path) -> tuple[Progress, Any]:
    """A bar over a file's bytes on standard error; silent where nobody watches."""
    bar = Progress(
        TextColumn(text),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not is_terminal(),
        transient=True,
    )
    size = path.stat().st_size if path.is_file() else None
    return bar, bar.add_task(text, total=size)


@contextmanager
def step_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A line on standard error that says what is being gone through; silent where nobody watches."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}"),
        console=Console(stderr=True),
        disable=not is_terminal(),
        transient=True,
    )
    tasks: dict[str, Any] = {}

    def progress(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total or None)
        bar.update(tasks[what], completed=done)

    with bar:
        yield progress
