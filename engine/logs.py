"""Logs: one JSON object a line on standard output, without personal data, for our own lines and everybody else's.

Tokens, secrets, names and payloads are not logged by anyone; what slips in under such a key, or looks like a token,
is masked here. Exceptions are told by kind and place: their texts may hold values of rows.
"""

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

MASK = "[masked]"
FRAMES_MAX = 20
TEXT_CHARACTERS_MAX = 2000

_NEVER = re.compile(
    r"token|secret|authori[sz]ation|password|cookie|signature|display_name|^name$|reference|subject|payload"
    r"|^body$|^frame$|^data$|server_key|operator_key",
    re.IGNORECASE,
)
_LOOKS_SECRET = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*"  # JSON Web Tokens
    r"|whsec_[\w+/=-]+"
    r"|(?i:bearer )\S+"
    r"|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)"  # user:password in an address
)
_QUIET = ("apscheduler", "httpx", "httpcore", "websockets", "asyncio", "alembic")

Event = MutableMapping[str, Any]


def configure(level: str, as_json: bool) -> None:
    """Send all logging of the process through one handler. Call once, before anything is logged."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        tell_exception,
        mask,
    ]
    end = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, end],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"  # paths hold ids; the edge logs routes
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def tell_exception(logger: Any, method: str, event: Event) -> Event:
    """An exception as its kind and where it happened, without its text."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    problem = found[1] if isinstance(found, tuple) else found
    if isinstance(problem, BaseException):
        frames = traceback.extract_tb(problem.__traceback__)[-FRAMES_MAX:]
        event["exception"] = _kinds(problem)
        event["where"] = [
            f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames
        ]
    return event


def _kinds(problem: BaseException) -> str:
    """The exception's kind and those that caused it."""
    kinds: list[str] = []
    cause: BaseException | None = problem
    while cause is not None and len(kinds) < FRAMES_MAX:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return " < ".join(kinds)


def mask(logger: Any, method: str, event: Event) -> Event:
    """No value under a key that names something secret or personal, and none that looks like a token."""
    for key, value in list(event.items()):
        event[key] = MASK if _NEVER.search(key) and key != "event" else _masked(value)
    return event


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _LOOKS_SECRET.sub(MASK, value)[:TEXT_CHARACTERS_MAX]
    if isinstance(value, Mapping):
        return {k: MASK if _NEVER.search(str(k)) else _masked(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(part) for part in value]
    return value
