"""The load test's own parts: that the driver really measures, and that what it is fed holds together."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import re
from pathlib import Path

import pytest

from loadtest import wire
from loadtest.bench import drive
from loadtest.jobs.plans import CollectPlan, FanOutPlan, Server, Session
from loadtest.keys import rising_keys
from loadtest.measure import middle, percentile
from loadtest.population import Population, Presses
from loadtest.processes import start_yardstick
from loadtest.rows import loads

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SMALL = Population.scaled(0.002)


@pytest.fixture(scope="module")
def yardstick(tmp_path_factory: pytest.TempPathFactory):
    """The plain FastAPI application in its own process."""
    process, port = start_yardstick(tmp_path_factory.mktemp("yardstick"))
    yield Server("127.0.0.1", port, "/echo", "echo", {"server": [process.pid]})
    process.stop()


def _sessions(count: int) -> list[Session]:
    return [Session("", [], Presses(SMALL, nth).peek(20)) for nth in range(count)]


def test_frames_of_any_length_come_back_whole():
    for size in (0, 1, 125, 126, 127, 65_535, 65_536, 70_000):
        payload = b"x" * size
        client = wire.frame(payload)
        assert wire.payload_of(client) == payload
        head = client[: len(client) - size - 4]
        unmasked = head[:1] + bytes((head[1] & 0x7F,)) + head[2:] + payload
        reader = wire.Reader()
        for cut in (1, 2, 3, 5):
            found = reader.feed(unmasked[:cut]) + reader.feed(unmasked[cut:] + unmasked)
            assert found == [payload, payload]


def test_a_masked_or_fragmented_server_frame_is_an_error():
    with pytest.raises(wire.WireError):
        wire.Reader().feed(wire.frame(b"{}"))
    with pytest.raises(wire.WireError):
        wire.Reader().feed(b"\x01\x02{}")


def test_keys_are_uuidv7_and_rise():
    keys = list(itertools.islice(rising_keys(), 500))
    assert all(UUID7.fullmatch(key) for key in keys)
    assert keys == sorted(keys) and len(set(keys)) == len(keys)


def test_percentiles_are_values_that_occurred():
    values = [float(value) for value in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 100)) == (50, 99, 100)
    assert math.isnan(percentile([], 50)) and math.isnan(middle([math.nan, None]))
    assert middle([3.0, math.nan, 1.0, 2.0]) == 2.0


def test_every_press_is_for_an_own_ball_or_a_friends():
    friends = set(SMALL.friendships())
    assert all(one < other for one, other in friends) and len(friends) == sum(1 for _ in SMALL.friendships())
    owner = {SMALL.ball_id(serial): SMALL.owner_of(serial) for serial in range(SMALL.balls)}
    assert len(owner) == SMALL.balls
    for number in range(SMALL.keen):
        user = SMALL.keen_user(number)
        presses = Presses(SMALL, number).peek(10_000)
        assert len(set(presses)) == len(presses) > 0
        for whose, ball in presses:
            assert owner[ball] == whose
            assert whose == user or (min(user, whose), max(user, whose)) in friends
        own = sum(whose == user for whose, _ in presses)
        assert own / len(presses) == pytest.approx(0.4, abs=0.05)


def test_presses_that_were_not_sent_stay():
    presses = Presses(SMALL, 0)
    first = presses.peek(6)
    presses.drop(2)
    assert presses.peek(4) == first[2:]


def test_prefilled_rows_obey_the_ledger():
    held: dict[str, int] = {}
    tables = {load.table: (load, list(load.rows)) for load in loads(SMALL, 1_800_000_000_000)}
    for load, rows in tables.values():
        assert len(rows) == load.count and all(len(row) == len(load.columns) for row in rows)
    for row in tables["journal"][1]:
        for debit, credit, _, amount, _ in json.loads(row[6]):
            held[debit] = held.get(debit, 0) - amount
            held[credit] = held.get(credit, 0) + amount
    for row in tables["balls"][1]:
        assert held[f"ball:{row[0]}"] == row[5] == row[4]
    users = tables["users"][0].columns
    for row in tables["users"][1]:
        user = dict(zip(users, row, strict=True))
        assert held.get(f"wallet:{user['id']}", 0) == user["wallet_g"]
        assert held.get(f"carbon:{user['id']}", 0) == user["avoided_mg"]
    assert sum(held.values()) == 0


def test_the_driver_counts_what_the_yardstick_echoes(yardstick: Server):
    figures = drive("collects", CollectPlan(yardstick, _sessions(4), [], 3, 0.1, 0.4, again=True))
    assert figures["per_s"] > 0 and figures["outcomes"] == {
        "collected": round(figures["per_s"] * figures["seconds"])
    }
    assert figures["unanswered"] == 0 and figures["closed"] == {}
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert figures["cpu_us"]["server"] > 0 and figures["cpu_us"]["driver"] > 0


def test_the_driver_stops_when_presses_run_out_and_says_so(yardstick: Server):
    figures = drive("collects", CollectPlan(yardstick, _sessions(2), [], 2, 0.0, 5.0))
    assert figures["ran_out"] and figures["used"] == [20, 20] and figures["seconds"] < 5


async def test_the_driver_really_waits_for_answers():
    """A server that takes 50 ms for each answer is measured as that, one that closes as unanswered."""
    answered = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = re.search(r"Sec-WebSocket-Key: (\S+)", head)
        assert key
        accept = wire.base64.b64encode(
            wire.hashlib.sha1(key[1].encode() + wire._ACCEPT_GUID).digest()
        ).decode()
        upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(f"{upgrade}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        while answered < 5:
            length = (await reader.readexactly(2))[1] & 0x7F
            if length == 126:
                length = int.from_bytes(await reader.readexactly(2), "big")
            payload = (await reader.readexactly(4 + length))[4:]
            await asyncio.sleep(0.05)
            answered += 1
            size = bytes((length,)) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
            writer.write(b"\x81" + size + payload)
        await asyncio.sleep(0.3)
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    plan = CollectPlan(Server("127.0.0.1", port, "/", "echo", {}), _sessions(1), [], 1, 0.0, 1.0)
    figures = await asyncio.to_thread(drive, "collects", plan)
    server.close()
    await server.wait_closed()
    assert answered == 5 and figures["outcomes"] == {"collected": 5}
    assert 50 <= figures["p50_ms"] < 500
    assert figures["unanswered"] == 1 and sum(figures["closed"].values()) == 1


def test_fan_out_counts_every_delivery(yardstick: Server):
    listening = Server("127.0.0.1", yardstick.port, "/listen", "echo", yardstick.pids)
    plan = FanOutPlan(listening, _sessions(1), [Session("") for _ in range(5)], 0.0, 0.5)
    figures = drive("fan_out", plan)
    assert figures["deliveries_per_s"] > 0 and figures["closed"] == {}


def test_a_driver_that_fails_says_why():
    plan = CollectPlan(Server("127.0.0.1", 9, "/", "echo", {}), _sessions(1), [], 1, 0.0, 0.1)
    with pytest.raises(RuntimeError, match=r"refused|Connect"):
        drive("collects", plan)


def test_nothing_of_the_load_test_is_imported_by_the_engine():
    root = Path(__file__).parents[2]
    for source in (*root.glob("engine/**/*.py"), *root.glob("partners/**/*.py")):
        assert "loadtest" not in source.read_text(encoding="utf-8"), source
