"""Speaks HTTP with the simulated NGO. Knows its address and key; what it says is understood in `mapping`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from engine.core.errors import Rejected
from engine.core.numbers import order_number
from partners.adapters.simulator import mapping
from partners.port import About, Answer, Capabilities, Inbound, OrderSheet
from partners.signing import verify

ANSWER_BYTES_MAX = 256 * 1024
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class SimulatorAdapter:
    """The simulated NGO at `address`; `keys`: the one in use first, then those that still sign during a
    rotation."""

    def __init__(
        self, address: str, keys: Sequence[str], capabilities: Capabilities, timeout_s: float
    ) -> None:
        self._capabilities = capabilities
        self._keys = list(keys)
        self._client = httpx.AsyncClient(
            base_url=address,
            timeout=timeout_s,
            headers={"authorization": f"Bearer {self._keys[0]}"},
            follow_redirects=False,
            trust_env=False,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What this partner can do."""
        return self._capabilities

    async def submit(self, sheet: OrderSheet, key: str) -> Answer:
        """Ask it to plant."""
        return await self._call("POST", "/orders", mapping.request_of(sheet), key)

    async def cancel(self, order: int, reason: str, key: str) -> Answer:
        """Withdraw an order."""
        path = f"/orders/{order_number(order)}/cancel"
        return await self._call("POST", path, {"reason": reason}, key, reading=True)

    async def remind(self, order: int, about: About, key: str) -> Answer:
        """Leave it a message about an order."""
        path = f"/orders/{order_number(order)}/messages"
        return await self._call("POST", path, {"about": str(about)}, key, reading=True)

    async def fetch_status(self, order: int) -> Answer:
        """Read back how an order stands."""
        return await self._call("GET", f"/orders/{order_number(order)}", reading=True)

    def parse_inbound(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Inbound:
        """Check and understand a message."""
        message = verify(self._keys, headers, body, now_ms)
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):  # the second: brackets without end
            raise Rejected("bad_request", expected="JSON") from None
        data = content.get("data") if isinstance(content, dict) else None
        return Inbound(message, hashlib.sha256(body).hexdigest(), mapping.report_of(data))

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def _call(
        self, method: str, path: str, body: Any = None, key: str = "", reading: bool = False
    ) -> Answer:
        sent = json.dumps(body, ensure_ascii=False).encode() if body is not None else b""
        headers = self._headers(method, path, sent, key)
        try:
            async with self._client.stream(method, path, content=sent, headers=headers) as response:
                content = await _bounded(response)
                retry_after = response.headers.get("retry-after", "")
        except NEVER_SENT as problem:
            return Answer("failed", type(problem).__name__)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            # A read can be repeated; whether a write arrived is not known.
            return Answer("failed" if method == "GET" else "unknown", type(problem).__name__)
        retry_after_s = (
            int(retry_after)
            if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 6
            else None
        )
        return mapping.answer_of(response.status_code, _decoded(content), retry_after_s, reading)

    def _headers(self, method: str, path: str, content: bytes, key: str) -> dict[str, str]:
        """What goes with a request beside its body."""
        headers = {"content-type": "application/json"} if content else {}
        return headers | ({"idempotency-key": f'"{key}"'} if key else {})


async def _bounded(response: httpx.Response) -> bytes:
    content = b""
    async for part in response.aiter_bytes():
        content += part
        if len(content) > ANSWER_BYTES_MAX:
            raise httpx.ReadError(f"answer over {ANSWER_BYTES_MAX} bytes")
    return content


def _decoded(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
