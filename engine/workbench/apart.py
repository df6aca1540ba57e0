"""Works out rulebooks that somebody sent in a process of its own, one at a time, with an end to patience."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.core.errors import Rejected

PATIENCE_S = 30.0
WAITING_MAX = 4
RESULT_BYTES_MAX = 16 * 1024 * 1024
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


class Apart:
    """Hands jobs to child processes. One works at a time; a few may wait, more are refused."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._turn = asyncio.Semaphore(1)
        self._inside = 0

    async def work_out(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The result. Raises Rejected(overloaded | too_costly)."""
        if self._inside > WAITING_MAX:
            raise Rejected("overloaded")
        self._inside += 1
        try:
            async with self._turn:
                return await self._child(_encode(job))
        finally:
            self._inside -= 1

    async def _child(self, job: bytes) -> dict[str, Any]:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",  # nothing of the caller's folder or home
            "-m",
            "engine.workbench.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},  # no secrets
        )
        try:
            async with asyncio.timeout(self._patience_s):
                out, _ = await child.communicate(job)
        except TimeoutError as problem:
            raise Rejected("too_costly", patience_s=self._patience_s) from problem
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode or len(out) > RESULT_BYTES_MAX:
            raise Rejected("too_costly", reason="it ran out of memory or time")
        return _decode(out)
