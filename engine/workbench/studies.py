"""Simulations and reports that take minutes: each in a process of its own, one of a kind at a time, kept for a while.

Kept in the memory of this process. Whoever asks another process, or this one after it was started anew, is told so.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import secrets
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.core.errors import Rejected

PATIENCE_S = 1_800.0
WAITING_MAX = 4
KEPT_MAX = 20  # of both kinds
KEPT_S = 86_400.0
LINE_BYTES_MAX = 32 * 1024 * 1024
LIVE = ("waiting", "running")
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Study:
    """A simulation or a report that somebody asked for. `asked` is what was asked, without files.

    `done` of `total`: user-days of a simulation, journal rows of a report. `tables` and `page` are gzip.
    """

    id: str
    kind: str
    asked: Mapping[str, Any]
    content: bytes
    started_at: int
    state: str = "waiting"
    done: int = 0
    total: int = 0
    ended_at: int | None = None
    ended_s: float = 0.0
    problem: Mapping[str, Any] | None = None
    tables: bytes | None = None
    page: bytes | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Studies:
    """All studies of this process. `now_ms` says when they began and ended."""

    def __init__(
        self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000, patience_s: float = PATIENCE_S
    ) -> None:
        self._now_ms, self._patience_s = now_ms, patience_s
        self._life = secrets.token_hex(4)
        self._known: dict[str, Study] = {}
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(1))

    def start(
        self,
        kind: str,
        key: str,
        asked: Mapping[str, Any],
        job: Mapping[str, Any],
        needs_secrets: bool = False,
    ) -> tuple[Study, bool]:
        """The study under the key, and whether it was there before. Raises Rejected(key_reused | overloaded).

        `needs_secrets`: it gets this process's environment, for a database's password; never with what was sent.
        """
        self._forget()
        text = _encode({**job, "kind": kind})
        content, name = hashlib.sha256(text).digest(), f"{self._life}-{key}"
        known = self._known.get(name)
        if known is not None:
            if known.content != content or known.kind != kind:
                raise Rejected("key_reused")
            return known, True
        live = sum(study.state in LIVE and study.kind == kind for study in self._known.values())
        if live > WAITING_MAX:
            raise Rejected("overloaded", waiting_max=WAITING_MAX)
        study = Study(name, kind, asked, content, self._now_ms())
        self._known[name] = study
        study.task = asyncio.get_running_loop().create_task(self._work(study, text, needs_secrets))
        return study, False

    def get(self, kind: str, name: str) -> Study:
        """The study of that id. Raises Rejected(unknown_study | study_lost)."""
        self._forget()
        study = self._known.get(name)
        if study is not None and study.kind == kind:
            return study
        raise Rejected("unknown_study" if name.startswith(self._life) else "study_lost")

    def all(self, kind: str) -> list[Study]:
        """Studies of a kind, the newest first."""
        self._forget()
        return [study for study in reversed(self._known.values()) if study.kind == kind]

    async def drop(self, kind: str, name: str) -> None:
        """Stop it where it runs, and forget it. Raises Rejected(unknown_study | study_lost)."""
        study = self.get(kind, name)
        del self._known[name]
        await _ended(study)

    async def close(self) -> None:
        """Stop all that run, and forget everything."""
        studies = list(self._known.values())
        self._known.clear()
        for study in studies:
            await _ended(study)

    def _forget(self) -> None:
        """Let go of what ended long ago, and of the oldest where there are too many."""
        ended = [study for study in self._known.values() if study.state not in LIVE]
        late = time.monotonic() - KEPT_S
        for study in ended[: max(0, len(ended) - KEPT_MAX)] + [one for one in ended if one.ended_s < late]:
            self._known.pop(study.id, None)

    async def _work(self, study: Study, text: bytes, needs_secrets: bool) -> None:
        async with self._turns[study.kind]:
            study.state = "running"
            try:
                async with asyncio.timeout(self._patience_s):
                    study.problem = await _child(study, text, needs_secrets)
            except TimeoutError:
                study.problem = {"code": "too_costly", "patience_s": self._patience_s}
            except Exception:
                log.exception("a %s failed", study.kind)
                study.problem = {"code": "internal"}
            study.state = "done" if study.problem is None else "failed"
            study.ended_at, study.ended_s = self._now_ms(), time.monotonic()


async def _ended(study: Study) -> None:
    """Cancel its task, which kills its process, and wait for that."""
    if study.task is not None:
        study.task.cancel()
        with suppress(asyncio.CancelledError):
            await study.task


async def _child(study: Study, text: bytes, needs_secrets: bool) -> Mapping[str, Any] | None:
    """What went wrong, if anything did; the results are put into the study."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",  # nothing of the caller's folder or home
        "-m",
        "engine.workbench.study_child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=None if needs_secrets else {},
        limit=LINE_BYTES_MAX,
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdin.write(text + b"\n")  # and not closed: the child ends when we do
        with suppress(ConnectionError):
            await child.stdin.drain()
        async for line in child.stdout:
            told = _decode(line)
            if "refused" in told:
                return told["refused"]
            if "failed" in told:
                log.error("a %s failed: %s", study.kind, told["failed"])
                return {"code": "internal"}
            if "result" in told:
                study.tables = base64.b64decode(told["result"]["tables"])
                page = told["result"].get("page")
                study.page = base64.b64decode(page) if page else None
                return None
            study.done, study.total = told["done"], told["total"]
        return {"code": "too_costly", "reason": "it ran out of memory or time"}
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
        child.stdin.close()
        await child.wait()
