"""Commands that serve: the engine alone, and the demo village."""

from typing import Annotated

import typer

from engine.cli.shared import DatabaseOption, Exit, Failure, failures, note, run, settings_with, shown_url


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of SAXAUL_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, instead of SAXAUL_PORT.")] = None,
    database: DatabaseOption = None,
) -> None:
    """Serve sockets and HTTP until Ctrl-C or SIGTERM, then drain.

    Off 127.0.0.1 it starts only with secrets of your own: SAXAUL_TOKEN_SECRET, SAXAUL_SERVER_KEY and
    SAXAUL_OPERATOR_KEY.
    """
    run(_serve(host, port, database), serves=True)


async def _serve(host: str | None, port: int | None, database: str | None) -> None:
    from engine.main import serve as serve_engine

    settings = settings_with(database, host=host, port=port)
    note(f"saxaul serves {shown_url(settings)} on http://{settings.host}:{settings.port} (Ctrl-C ends it)")
    try:
        await serve_engine(settings)
    except OSError as problem:
        if problem.filename is not None:  # a file, not the port
            raise
        raise Failure(
            f"can't listen on {settings.host}:{settings.port}: {problem.strerror or problem}; "
            "another --port may be free",
            Exit.PROBLEMS,
        ) from problem


def demo(
    database: Annotated[
        str | None, typer.Option(help="Where the village lives; it goes on if it is there already.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Port of the server (default: SAXAUL_PORT or 8000, or the next free one)."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Dice of the villagers: the same seed makes the same village.")
    ] = 1,
    live: Annotated[
        bool, typer.Option("--live/--no-live", help="Show the village live in this terminal.")
    ] = True,
    for_s: Annotated[float | None, typer.Option(help="End by itself after so many seconds.")] = None,
) -> None:
    """Start a living demo village on 127.0.0.1: 30 users with friends, balls, three planting programmes.

    Prints addresses, a token to connect with and what to try next. Ctrl-C drains and ends it; the village
    stays in its database and goes on next time.
    """
    from engine.demo import Village, run_demo

    with failures():
        first_port = settings_with(database).port
    url = database or "sqlite:///saxaul-demo.db"
    run(run_demo(Village(url, port, first_port, seed, live, for_s)), serves=True)
