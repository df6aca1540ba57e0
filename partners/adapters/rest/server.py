"""A partner with a server of our partner-side protocol (docs/partner-server.json): our requests to it are signed.

The protocol is the simulated NGO's, so what answers mean is in its mapping. Signed is what the Standard Webhooks scheme
signs, id, time and body; the id begins with method and path, so that a signature opens no other door.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

from partners.adapters.simulator import mapping
from partners.adapters.simulator.adapter import SimulatorAdapter
from partners.port import Answer, Capabilities, OrderSheet
from partners.signing import sign


class ServerAdapter(SimulatorAdapter):
    """The partner at `address`. `now_ms`: the host's clock, by which requests are signed."""

    def __init__(
        self,
        address: str,
        keys: Sequence[str],
        capabilities: Capabilities,
        timeout_s: float,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        super().__init__(address, keys, capabilities, timeout_s)
        del self._client.headers["authorization"]  # the key signs; it never travels
        self._now_ms = now_ms

    async def submit(self, sheet: OrderSheet, key: str) -> Answer:
        """Ask it to plant."""
        return await self._call("POST", "/orders", mapping.request_of(sheet) | {"kind": sheet.kind}, key)

    def _headers(self, method: str, path: str, content: bytes, key: str) -> dict[str, str]:
        """The same request bears the same id, whenever it is sent; a reading has one of its own."""
        message = f"{method}:{path}:{key or secrets.token_hex(8)}"
        return super()._headers(method, path, content, key) | sign(
            self._keys[0], message, self._now_ms(), content
        )
