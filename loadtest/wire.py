"""The client side of a WebSocket as the driver needs it: a handshake, text frames out, text frames in. No I/O.

It is deliberately less than a library (no extensions, no fragments) so that the driver costs less than any server
that it measures. It must not know what the frames mean.
"""

import base64
import hashlib
import os

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ZERO_MASK = b"\0\0\0\0"


class WireError(Exception):
    """The other side did not speak the WebSocket that was agreed."""


def handshake(host: str, port: int, path: str) -> tuple[bytes, bytes]:
    """The upgrade request, and the accept value that the answer must carry."""
    key = base64.b64encode(os.urandom(16))
    accept = base64.b64encode(hashlib.sha1(key + _ACCEPT_GUID).digest())
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return request.encode(), accept


def check_handshake(head: bytes, accept: bytes) -> None:
    """Raises WireError unless `head` (answer up to the blank line) agrees to the upgrade."""
    status, *lines = head.split(b"\r\n")
    if b" 101" not in status:
        raise WireError(f"no upgrade: {status.decode('latin-1')}")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
    }
    if headers.get(b"sec-websocket-accept") != accept:
        raise WireError("wrong Sec-WebSocket-Accept")


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One final client frame. The masking key is zero, which is valid and makes masking free."""
    length = len(payload)
    if length < 126:
        head = bytes((0x80 | opcode, 0x80 | length))
    elif length < 65536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + length.to_bytes(8, "big")
    return head + _ZERO_MASK + payload


def payload_of(client_frame: bytes) -> bytes:
    """The payload of a frame that `frame` made."""
    length = client_frame[1] & 0x7F
    return client_frame[6 if length < 126 else 8 if length == 126 else 14 :]


class Reader:
    """Splits a byte stream of server frames into payloads; keeps what is incomplete for the next call."""

    __slots__ = ("_rest", "controls")

    def __init__(self) -> None:
        self._rest = b""
        self.controls: list[tuple[int, bytes]] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads of the text and binary frames that are complete now; control frames go to `controls`."""
        if self._rest:
            data = self._rest + data
        payloads: list[bytes] = []
        at, size = 0, len(data)
        while size - at >= 2:
            length = data[at + 1]
            start = at + 2
            if length == 126:
                if size - at < 4:
                    break
                length = (data[at + 2] << 8) | data[at + 3]
                start = at + 4
            elif length == 127:
                if size - at < 10:
                    break
                length = int.from_bytes(data[at + 2 : at + 10], "big")
                start = at + 10
            elif length > 127:
                raise WireError("a server must not mask")
            end = start + length
            if end > size:
                break
            kind = data[at]
            if kind == 0x81 or kind == 0x82:
                payloads.append(data[start:end])
            elif kind & 0x88 == 0x88:
                self.controls.append((kind & 0x0F, data[start:end]))
            else:
                raise WireError(f"unexpected frame start {kind:#x}: fragments and extensions were not agreed")
            at = end
        self._rest = data[at:]
        return payloads
