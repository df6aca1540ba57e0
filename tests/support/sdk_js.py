"""The official JavaScript SDK (centrifuge on npm) under Node, behind the tests' common face."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.support.node import find_node, sdk_modules
from tests.support.process import die_with_parent
from tests.support.sdk import RpcFailed, Sdk, SdkClient, TokenSource

_DRIVER = Path(__file__).parent / "js" / "driver.mjs"
_LINE_BYTES_MAX = 16 * 1024 * 1024


class JsSdk(Sdk):
    """One Node process that holds all clients; JSON lines to and from it."""

    name = "js"

    def __init__(self) -> None:
        self._clients: dict[str, JsClient] = {}
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> JsSdk:
        """Install the SDK if need be and start Node; raises NodeMissing where that cannot be done."""
        modules = await asyncio.to_thread(sdk_modules)
        self._process = await asyncio.create_subprocess_exec(
            find_node().executable,
            str(_DRIVER),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"SAXAUL_JS_MODULES": str(modules)},
            limit=_LINE_BYTES_MAX,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
        self._spawn(self._listen())
        return self

    async def client(
        self, url: str, token: str = "", *, get_token: TokenSource | None = None, **options: Any
    ) -> JsClient:
        name = f"c{len(self._clients) + 1}"
        client = self._clients[name] = JsClient(self, name, get_token)
        await self.wish(
            "create", client=name, url=url, token=token, refresh=get_token is not None, options=options
        )
        return client

    async def runtime(self) -> dict[str, str]:
        """Node's version, and whose WebSocket the SDK uses (own or ws)."""
        return await self.wish("runtime")

    async def close(self) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def wish(self, do: str, **fields: Any) -> Any:
        """Ask the driver to do something; returns its value, raises RpcFailed."""
        number = next(self._numbers)
        answer = self._open[number] = asyncio.get_running_loop().create_future()
        self._send({"n": number, "do": do, **fields})
        try:
            async with asyncio.timeout(30):
                return await answer
        finally:
            self._open.pop(number, None)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process and self._process.stdin, "not started"
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _listen(self) -> None:
        assert self._process and self._process.stdout
        async for line in self._process.stdout:
            message = json.loads(line)
            if "n" in message:
                self._settle(message)
            elif "ask" in message:
                self._spawn(self._bring_token(message))
            else:
                await self._clients[message["client"]]._tell(
                    message["kind"], message["channel"], message["detail"]
                )
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(RpcFailed(0, "the Node process has ended"))

    def _settle(self, message: dict[str, Any]) -> None:
        answer = self._open.get(message["n"])
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(RpcFailed(**message["error"]))
        else:
            answer.set_result(message["ok"])

    async def _bring_token(self, message: dict[str, Any]) -> None:
        source = self._clients[message["client"]].get_token
        assert source is not None
        try:
            self._send({"do": "token", "q": message["q"], "token": await source()})
        except Exception as failure:
            self._send({"do": "token", "q": message["q"], "error": str(failure) or "no token"})

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class JsClient(SdkClient):
    """One centrifuge-js client inside the Node process."""

    def __init__(self, sdk: JsSdk, name: str, get_token: TokenSource | None) -> None:
        super().__init__()
        self._sdk, self._name, self.get_token = sdk, name, get_token

    async def begin_connect(self) -> None:
        await self._sdk.wish("connect", client=self._name)

    async def disconnect(self) -> None:
        await self._sdk.wish("disconnect", client=self._name)

    async def rpc(self, method: str, data: Any = None) -> Any:
        return await self._sdk.wish("rpc", client=self._name, method=method, data=data)

    async def begin_subscribe(
        self, channel: str, state: tuple[str, dict[str, Any]] | None = None, **options: Any
    ) -> None:
        wanted = {"method": state[0], "data": state[1]} if state else None
        await self._sdk.wish("subscribe", client=self._name, channel=channel, state=wanted, options=options)

    async def unsubscribe(self, channel: str) -> None:
        await self._sdk.wish("unsubscribe", client=self._name, channel=channel)
