"""The local admin socket: a command line beside a running engine submits through that engine's one writer.

Only the user who runs the engine can open it (mode 0600). One JSON object a line each way.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from engine.core.errors import Rejected
from engine.writer import Outcome, Writer

LINE_BYTES_MAX = 64 * 1024 * 1024
COMMANDS_MAX = 10_000

SubmitAll = Callable[[Sequence[Any]], Awaitable[list[Outcome]]]

_json = msgspec.json.Encoder(enc_hook=str).encode


class AdminError(Exception):
    """The engine that holds the database can't be reached, or did not understand."""


class _Wish(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    data: msgspec.Raw


class _Answer(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw()  # `Raw | None` would decode nothing but null
    error: str | None = None
    fields: dict[str, Any] = {}
    replayed: bool = False


_wishes = msgspec.json.Decoder(list[_Wish])
_answers = msgspec.json.Decoder(list[_Answer])


@asynccontextmanager
async def serving_admin(path: Path, writer: Writer, kinds: Iterable[type]) -> Any:
    """Take commands of these kinds on the socket while the block runs."""
    by_name = {kind.__name__: kind for kind in kinds}
    clients: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, sender: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        try:
            while line := await reader.readline():
                sender.write(await _carry_out(line, writer, by_name) + b"\n")
                await sender.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass
        finally:
            clients.discard(task)
            sender.close()

    with suppress(FileNotFoundError):
        path.unlink()
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(serve, path, limit=LINE_BYTES_MAX)
    finally:
        os.umask(before)
    try:
        yield
    finally:
        server.close()
        for task in list(clients):
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        with suppress(FileNotFoundError):
            path.unlink()


async def _carry_out(line: bytes, writer: Writer, by_name: Mapping[str, type]) -> bytes:
    try:
        wishes = _wishes.decode(line)
        if len(wishes) > COMMANDS_MAX:
            raise msgspec.ValidationError(f"more than {COMMANDS_MAX} commands in one line")
        commands = [msgspec.json.decode(wish.data, type=by_name[wish.type]) for wish in wishes]
    except (msgspec.MsgspecError, KeyError) as problem:
        return _json([{"error": "bad_request", "fields": {"problem": str(problem)}}])
    return _json([_answer(outcome) for outcome in await writer.submit_all(commands)])


def _answer(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is not None:
        return {"error": outcome.error.code, "fields": outcome.error.fields}
    return {"data": msgspec.Raw(outcome.data or b"null"), "replayed": outcome.replayed}


@asynccontextmanager
async def through_socket(path: Path) -> Any:
    """A `submit_all` that sends to the engine behind the socket. Raises AdminError."""
    try:
        reader, sender = await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX)
    except OSError as problem:
        raise AdminError(
            f"the engine that holds this database does not answer on {path}: {problem}"
        ) from problem

    async def submit_all(commands: Sequence[Any]) -> list[Outcome]:
        wishes = [{"type": type(command).__name__, "data": command} for command in commands]
        sender.write(_json(wishes) + b"\n")
        await sender.drain()
        line = await reader.readline()
        if not line:
            raise AdminError("the engine ended while it carried out the commands; run this again")
        answers = _answers.decode(line)
        if len(answers) != len(commands):
            raise AdminError(
                f"the engine did not understand: {answers[0].fields if answers else line[:200]!r}"
            )
        return [_outcome(answer) for answer in answers]

    try:
        yield submit_all
    finally:
        sender.close()


def _outcome(answer: _Answer) -> Outcome:
    if answer.error is not None:
        return Outcome(None, Rejected(answer.error, **answer.fields))
    return Outcome(bytes(answer.data) or None, None, answer.replayed)
