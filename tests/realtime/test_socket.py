"""The WebSocket end on a real port: handshake, hostile frames, silence, slow readers, shutdown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from engine.publication import Publication
from engine.realtime.socket import Front, make_listener
from tests.realtime.small import Bench, collect
from tests.support.raw_socket import RawSocket, Refused, raw_frame

OpenSocket = Callable[..., Awaitable[RawSocket]]
TEXT, BINARY, CONT, CLOSE, PING = 1, 2, 0, 8, 9


class Served:
    """uvicorn with the socket front and a plain HTTP route, and the smallest engine behind."""

    def __init__(self, bench: Bench, front: Front, server: uvicorn.Server, port: int) -> None:
        self.bench = bench
        self.front = front
        self.server = server
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/connection/websocket"

    async def until(self, reached: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Wait for something that the server does by itself."""
        async with asyncio.timeout(timeout_s):
            while not reached():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(origins: frozenset[str] = frozenset(), **limits: Any) -> AsyncIterator[Served]:
    bench = Bench(**({"close_within_s": 0.2, "drain_s": 0.1} | limits))
    front = Front(bench.rt, origins)
    app = FastAPI()
    app.get("/healthz")(lambda: {"status": "ok"})
    config = uvicorn.Config(
        app,
        ws=front.protocol_class(),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    listener = make_listener("127.0.0.1", 0, bench.limits)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        yield Served(bench, front, server, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await task


async def signed_in(served: Served, raw_socket: OpenSocket, user: int = 17, **options: Any) -> RawSocket:
    raw = await raw_socket(served.url, **options)
    reply = await raw.ask({"id": 1, "connect": {"token": str(user)}})
    assert "connect" in reply
    return raw


# --- handshake ------------------------------------------------------------------------------------


async def test_http_and_sockets_share_the_port(raw_socket: OpenSocket) -> None:
    async with serving() as served:
        raw = await signed_in(served, raw_socket)
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{served.port}/healthz")).status_code == 200
        assert raw.protocol.extensions == []
        assert (await raw.close()).code == 1000
        await served.until(lambda: not served.front.sockets)
        assert served.bench.rt.counters.connected == 0


async def test_the_subprotocol_is_echoed_where_it_is_offered(raw_socket: OpenSocket) -> None:
    async with serving() as served:
        assert (await raw_socket(served.url)).protocol.subprotocol is None
        offered = await raw_socket(served.url, subprotocols=["other", "centrifuge-json"])
        assert offered.protocol.subprotocol == "centrifuge-json"


async def test_compression_is_never_agreed(raw_socket: OpenSocket) -> None:
    async with serving() as served:
        raw = await raw_socket(served.url, headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
        assert raw.protocol.extensions == []


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        ("https://game.example", 101),
        ("https://game.example.evil", 403),
        ("http://game.example", 403),
        ("https://sub.game.example", 403),
        ("null", 403),
    ],
)
async def test_origins_are_matched_exactly(raw_socket: OpenSocket, origin: str | None, status: int) -> None:
    async with serving(frozenset({"https://game.example"})) as served:
        if status == 101:
            await signed_in(served, raw_socket, origin=origin)
            return
        with pytest.raises(Refused) as refused:
            await raw_socket(served.url, origin=origin)
        assert refused.value.status == status
        assert b"game.example" not in refused.value.body


async def test_other_paths_are_not_found(raw_socket: OpenSocket) -> None:
    async with serving() as served:
        for path in ("/", "/connection", "/connection/websocketx", "/healthz"):
            with pytest.raises(Refused) as refused:
                await raw_socket(f"ws://127.0.0.1:{served.port}{path}")
            assert refused.value.status == 404
        assert (await raw_socket(f"{served.url}?cf=1")).protocol.state.name == "OPEN"
        assert (
            await raw_socket(f"ws://127.0.0.1:{served.port}/v1/connection/websocket")
        ).protocol.state.name == "OPEN"


async def test_a_full_process_refuses_before_the_upgrade(raw_socket: OpenSocket) -> None:
    async with serving(connections_max=2) as served:
        first = [await raw_socket(served.url), await raw_socket(served.url)]
        with pytest.raises(Refused) as refused:
            await raw_socket(served.url)
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "5")
        await first[0].close()
        await served.until(lambda: len(served.front.sockets) < 2)
        await raw_socket(served.url)


async def test_connections_of_one_address_and_upgrades_are_limited(raw_socket: OpenSocket) -> None:
    async with serving(connections_per_address_max=1) as served:
        await raw_socket(served.url)
        with pytest.raises(Refused):
            await raw_socket(served.url)
    async with serving(upgrades_per_s=0.001, upgrades_burst=2) as served:
        await raw_socket(served.url)
        await raw_socket(served.url)
        with pytest.raises(Refused):
            await raw_socket(served.url)
        assert served.front.refused[503] == 1


# --- frames ---------------------------------------------------------------------------------------


async def test_several_commands_in_a_frame_several_frames_in_a_packet_and_one_frame_in_pieces(
    raw_socket: OpenSocket,
) -> None:
    async with serving() as served:
        raw = await signed_in(served, raw_socket)
        raw.send_json({"id": 2, "rpc": {"method": "friend.list"}}, {"id": 3, "rpc": {"method": "tree.list"}})
        assert [(await raw.receive_json())["id"] for _ in range(2)] == [2, 3]
        frames = b"".join(
            raw_frame(TEXT, b'{"id":%d,"rpc":{"method":"friend.list"}}' % number) for number in range(4, 9)
        )
        raw.send_bytes(frames)
        assert [(await raw.receive_json())["id"] for _ in range(5)] == [4, 5, 6, 7, 8]
        for byte in raw_frame(TEXT, b'{"id":9,"rpc":{"method":"friend.list"}}'):
            raw.send_bytes(bytes([byte]))
            await asyncio.sleep(0)
        assert (await raw.receive_json())["id"] == 9


async def test_fragments_and_pings_between_them(raw_socket: OpenSocket) -> None:
    async with serving() as served:
        raw = await signed_in(served, raw_socket)
        raw.send_frame(TEXT, b'{"id":2,"rpc":', fin=False)
        raw.send_frame(PING, b"are you there")
        raw.send_frame(CONT, b'{"method":"friend', fin=False)
        raw.send_frame(CONT, b'.list"}}')
        assert (await raw.receive_json())["id"] == 2
        raw.send_json({"id": 3, "rpc": {"method": "tree.list"}})
        assert (await raw.receive_json())["id"] == 3


async def test_a_frame_may_be_as_large_as_the_limit_and_no_larger(raw_socket: OpenSocket) -> None:
    async with serving() as served:
        raw = await signed_in(served, raw_socket)
        head, tail = b'{"id":2,"pad":"', b'","rpc":{"method":"friend.list"}}'
        raw.send_text(head + b"x" * (65536 - len(head) - len(tail)) + tail)
        assert (await raw.receive_json())["id"] == 2
        raw.send_text(b"x" * 65537)
        ending = await raw.ended()
        assert ending.code == 1009
        await served.until(lambda: not served.front.sockets)


async def test_large_and_endless_messages_are_refused_by_their_head(raw_socket: OpenSocket) -> None:
    async with serving() as served:
        raw = await signed_in(served, raw_socket)
        raw.send_bytes(b"\x81\xff" + (2**40).to_bytes(8, "big") + b"mask")
        assert (await raw.ended()).code == 1009
        raw = await signed_in(served, raw_socket)
        for _ in range(3):
            raw.send_frame(TEXT if _ == 0 else CONT, b"x" * 30000, fin=False)
        assert (await raw.ended()).code == 1009


@pytest.mark.parametrize(
    ("send", "code"),
    [
        (lambda raw: raw.send_text("not json"), 3501),
        (lambda raw: raw.send_text('{"id":2,"rpc":{"method":"tree.list"}}{"id":3}'), 3501),
        (lambda raw: raw.send_text('{"id":99999999999,"rpc":{"method":"tree.list"}}'), 3501),
        (lambda raw: raw.send_text('{"id":true,"rpc":{"method":"tree.list"}}'), 3501),
        (lambda raw: raw.send_text(""), 3501),
        (lambda raw: raw.send_text(b'{"id":2,"rpc":{"method":"\xff"}}'), 1007),
        (lambda raw: raw.send_binary(b'{"id":2,"rpc":{"method":"tree.list"}}'), 1003),
        (lambda raw: raw.send_frame(TEXT, b"{}", mask=False), 1002),
        (lambda raw: raw.send_frame(TEXT, b"{}", rsv1=True), 1002),
        (lambda raw: raw.send_frame(3, b"{}"), 1002),
        (lambda raw: raw.send_frame(CONT, b"{}"), 1002),
        (lambda raw: raw.send_frame(PING, b"x" * 126), 1002),
        (lambda raw: raw.send_frame(PING, b"x", fin=False), 1002),
        (lambda raw: raw.send_frame(CLOSE, b"\x03"), 1002),
    ],
)
async def test_what_no_client_sends_ends_with_its_code(
    raw_socket: OpenSocket, send: Callable[[RawSocket], None], code: int
) -> None:
    async with serving() as served:
        raw = await signed_in(served, raw_socket)
        other = await signed_in(served, raw_socket, 18)
        send(raw)
        assert (await raw.ended()).code == code
        await served.until(lambda: len(served.front.sockets) == 1)
        assert (await other.ask({"id": 2, "rpc": {"method": "tree.list"}}))["id"] == 2


async def test_bytes_that_are_no_websocket(raw_socket: OpenSocket) -> None:
    async with serving() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        head = b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\n"
        writer.write(head + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400")
        writer.close()
        await served.until(lambda: not served.front.sockets)


# --- silence --------------------------------------------------------------------------------------


async def test_who_says_nothing_is_closed(raw_socket: OpenSocket) -> None:
    async with serving(connect_within_s=0.05) as served:
        raw = await raw_socket(served.url)
        assert await raw.ended() == (3502, "stale")


async def test_half_open_connections_are_found_by_ping(raw_socket: OpenSocket) -> None:
    async with serving(ping_s=0.1, pong_within_s=0.05, close_within_s=0.1) as served:
        raw = await signed_in(served, raw_socket)
        raw.answers_control_frames = False
        assert await raw.ended() == (3012, "no pong")
        await served.until(lambda: not served.front.sockets)


async def test_a_client_that_never_answers_the_close_is_cut_off(raw_socket: OpenSocket) -> None:
    async with serving(ping_s=0.1, pong_within_s=0.05, close_within_s=0.1) as served:
        raw = await signed_in(served, raw_socket)
        raw.pause_reading()
        await served.until(lambda: not served.front.sockets)


async def test_a_connection_that_breaks_is_forgotten(raw_socket: OpenSocket) -> None:
    async with serving() as served:
        raw = await signed_in(served, raw_socket)
        await raw.ask({"id": 2, "subscribe": {"channel": "user:17"}})
        raw.send_json(collect(3), collect(4))
        await served.until(lambda: len(served.bench.writer.queue) == 2)
        await raw.abort()
        await served.until(lambda: not served.front.sockets)
        served.bench.writer.commit()
        assert served.bench.hub.watched() == []


# --- slow readers ---------------------------------------------------------------------------------


def load(number: int, size: int = 4000) -> Publication:
    return Publication("forest:1", number, b'"%s"' % (b"x" * size), number)


async def test_a_slow_reader_is_closed_and_freed_while_others_go_on(raw_socket: OpenSocket) -> None:
    async with serving(slow_grace_s=0.2) as served:
        slow = await signed_in(served, raw_socket, 1, receive_buffer_bytes=4096)
        quick = [await signed_in(served, raw_socket, user) for user in range(2, 6)]
        for raw in (slow, *quick):
            await raw.ask({"id": 2, "subscribe": {"channel": "forest:1"}})
        slow.pause_reading()
        for number in range(1, 301):
            served.bench.hub.publish([load(number)])
            served.bench.hub.flush()
            await asyncio.sleep(0)
        await served.until(lambda: len(served.front.sockets) == 4)
        assert served.bench.rt.counters.closed[3008] == 1
        for raw in quick:
            offsets = [(await raw.receive_json())["push"]["pub"]["offset"] for _ in range(300)]
            assert offsets == list(range(1, 301))
        slow.resume_reading()
        await slow.ended()
        assert slow.received_bytes < 1_000_000


async def test_a_slow_reader_that_wakes_up_is_told_why(raw_socket: OpenSocket) -> None:
    async with serving(slow_grace_s=5.0) as served:
        slow = await signed_in(served, raw_socket, 1, receive_buffer_bytes=4096)
        await slow.ask({"id": 2, "subscribe": {"channel": "forest:1"}})
        slow.pause_reading()
        for number in range(1, 301):
            served.bench.hub.publish([load(number)])
            served.bench.hub.flush()
            await asyncio.sleep(0)
        assert served.bench.rt.counters.closed[3008] == 1
        slow.resume_reading()
        assert await slow.ended() == (3008, "slow")
        offsets = []
        while not slow._messages.empty() and (message := slow._messages.get_nowait()) is not None:
            lines = str(message).split("\n")
            offsets += [json.loads(line)["push"]["pub"]["offset"] for line in lines if "push" in line]
        assert offsets == list(range(1, len(offsets) + 1))


async def test_a_reader_that_asks_for_much_and_reads_late_gets_all_of_it(raw_socket: OpenSocket) -> None:
    """Replies wait for the reader: nothing more is read from it or begun for it, and nothing is lost."""
    async with serving() as served:
        served.bench.reads.forest = lambda viewer, owner: _large(owner)  # type: ignore[method-assign]
        raw = await signed_in(served, raw_socket, 1, receive_buffer_bytes=4096)
        raw.pause_reading()
        for number in range(2, 202):
            raw.send_json({"id": number, "rpc": {"method": "forest.get", "data": {"user": "1"}}})
        await asyncio.sleep(0.3)
        assert served.bench.rt.counters.closed[3008] == 0
        raw.resume_reading()
        assert [(await raw.receive_json())["id"] for _ in range(200)] == list(range(2, 202))


async def test_a_reader_that_asks_for_much_and_never_reads_is_freed(raw_socket: OpenSocket) -> None:
    async with serving(catch_up_within_s=0.3, slow_grace_s=0.2) as served:
        served.bench.reads.forest = lambda viewer, owner: _large(owner)  # type: ignore[method-assign]
        raw = await signed_in(served, raw_socket, 1, receive_buffer_bytes=4096)
        raw.pause_reading()
        for number in range(2, 202):
            raw.send_json({"id": number, "rpc": {"method": "forest.get", "data": {"user": "1"}}})
        await served.until(lambda: not served.front.sockets)
        assert served.bench.rt.counters.closed[3008] == 1


async def _large(owner: int) -> bytes:
    return b'"%s"' % (b"x" * 20_000)


async def test_outstanding_commands_wait_in_the_network_and_all_are_answered(raw_socket: OpenSocket) -> None:
    async with serving(outstanding_max=8) as served:
        raw = await signed_in(served, raw_socket)
        for number in range(2, 102):
            raw.send_json(collect(number))
        await raw.drain()
        answered: list[int] = []
        while len(answered) < 100:
            await asyncio.sleep(0.01)
            assert len(served.bench.writer.queue) <= 8
            due = len(served.bench.writer.commands)
            served.bench.writer.commit()
            served.bench.hub.flush()
            while len(answered) < due:
                answered.append((await raw.receive_json())["id"])
        assert answered == list(range(2, 102))


# --- shutdown -------------------------------------------------------------------------------------


async def test_shutdown_tells_everybody_to_come_back_spread_over_time(raw_socket: OpenSocket) -> None:
    async with serving(drain_s=0.4) as served:
        raws = [await signed_in(served, raw_socket, user) for user in range(1, 21)]
        began = asyncio.get_running_loop().time()
        ended_at: list[float] = []

        async def wait(raw: RawSocket) -> None:
            assert await raw.ended() == (3001, "shutdown")
            ended_at.append(asyncio.get_running_loop().time() - began)

        served.server.should_exit = True
        await asyncio.gather(*[wait(raw) for raw in raws])
        assert max(ended_at) - min(ended_at) > 0.2


async def test_a_reply_that_is_due_leaves_before_the_goodbye(raw_socket: OpenSocket) -> None:
    async with serving(drain_s=0.1) as served:
        raw = await signed_in(served, raw_socket)
        raw.send_json(collect(2))
        await served.until(lambda: len(served.bench.writer.queue) == 1)
        served.bench.writer.commit()
        served.server.should_exit = True
        assert (await raw.receive_json())["id"] == 2
        assert await raw.ended() == (3001, "shutdown")


@pytest.mark.parametrize(
    "frame", [raw_frame(CONT, b"", fin=False), raw_frame(PING, b"x")], ids=["fragments", "pings"]
)
async def test_a_flood_of_frames_that_are_no_commands_is_closed(raw_socket: OpenSocket, frame: bytes) -> None:
    async with serving(commands_per_s=20.0, commands_burst=60) as served:
        raw = await signed_in(served, raw_socket)
        raw.send_bytes(raw_frame(TEXT, b"x", fin=False) + frame * 20_000)  # pings may lie between fragments
        assert (await raw.ended()).code == 3013
        other = await signed_in(served, raw_socket)
        other.send_bytes(raw_frame(PING, b"x") * 100)
        assert "unsubscribe" in await other.ask({"id": 2, "unsubscribe": {"channel": "user:17"}})
