"""One connection: order, limits, signing in, subscribing, ending. Without sockets."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from engine.core.errors import Rejected
from engine.publication import Publication, Revocation
from engine.realtime import protocol
from engine.realtime.session import Session
from engine.writer import Outcome
from tests.realtime.small import KEY, Bench, SmallWire, collect, say, turns


def connect(token: str = "17", number: int = 1) -> dict[str, Any]:
    return {"id": number, "connect": {"token": token}}


def read(number: int, method: str = "friend.list", **data: Any) -> dict[str, Any]:
    return {"id": number, "rpc": {"method": method, "data": data}}


def subscribe(number: int, channel: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "subscribe": {"channel": channel} | more}


def pub(offset: int, channel: str = "user:17") -> Publication:
    return Publication(channel, offset, b'{"n":%d}' % offset, 1000 + offset)


def ids(wire: SmallWire) -> list[int]:
    return [line.get("id") for line in wire.lines()]


# --- signing in -----------------------------------------------------------------------------------


async def test_connect_tells_ping_server_time_and_no_expiry() -> None:
    bench = Bench()
    session, wire = bench.session()
    say(session, connect())
    await turns()
    [reply] = wire.lines()
    assert reply["id"] == 1
    assert reply["connect"]["ping"] == 25
    assert reply["connect"]["pong"] is True
    assert reply["connect"]["data"]["v"] == 1
    assert reply["connect"]["data"]["now"].endswith("Z")
    assert "expires" not in reply["connect"]
    assert session.user == 17
    assert bench.rt.counters.connected == 1
    session.lost()
    assert bench.rt.counters.connected == 0
    assert not bench.hub.is_online(17)


async def test_an_expired_token_is_error_109_and_the_connection_may_try_again() -> None:
    session, wire = Bench().session()
    say(session, connect("expired"))
    await turns()
    [reply] = wire.lines()
    assert reply["error"] == {"code": 109, "message": "token expired", "temporary": True}
    assert wire.closed is None
    say(session, connect("17", 2))
    await turns()
    assert wire.lines()[0]["connect"]
    session.lost()


async def test_a_token_that_cannot_be_checked_is_not_judged() -> None:
    session, wire = Bench().session()
    say(session, connect("unavailable"))
    await turns()
    assert wire.lines()[0]["error"]["temporary"] is True
    assert wire.closed is None
    session.lost()


@pytest.mark.parametrize("token", ["forged", ""])
async def test_a_forged_or_missing_token_closes_for_good(token: str) -> None:
    session, wire = Bench().session()
    say(session, connect(token))
    await turns()
    assert wire.closed == protocol.INVALID_TOKEN
    assert wire.lines() == []
    assert session.is_over


@pytest.mark.parametrize("state", ["suspended", "closed", None])
async def test_an_account_that_is_not_active_is_not_served(state: str | None) -> None:
    bench = Bench()
    bench.reads.accounts[17] = state  # type: ignore[assignment]
    session, wire = bench.session()
    say(session, connect())
    await turns()
    assert wire.closed == protocol.NOT_ALLOWED


async def test_the_first_command_is_connect() -> None:
    session, wire = Bench().session()
    say(session, read(1))
    assert wire.closed == protocol.BAD_FRAME


async def test_connect_comes_once() -> None:
    session, wire = await Bench().connected()
    say(session, connect(number=2))
    assert wire.closed == protocol.BAD_FRAME


async def test_commands_may_come_in_the_frame_of_connect() -> None:
    bench = Bench()
    session, wire = bench.session()
    say(session, connect(), subscribe(2, "user:17"), collect(3), read(4), read(5, "forest.get", user="0"))
    await turns()
    bench.writer.commit()
    await turns()
    replies = wire.lines()
    assert [reply["id"] for reply in replies] == [1, 2, 3, 4, 5]
    assert bench.writer.commands[0].user == 17
    assert replies[4]["error"]["code"] == 107
    session.lost()


async def test_too_many_connections_of_one_user() -> None:
    bench = Bench(connections_per_user_max=2)
    sessions = [await bench.connected(), await bench.connected()]
    third, wire = bench.session()
    say(third, connect())
    await turns()
    assert wire.closed == protocol.CONNECTION_LIMIT
    for session, _ in sessions:
        session.lost()


async def test_silence_before_connect_ends_the_connection() -> None:
    session, wire = Bench(connect_within_s=0.02).session()
    await asyncio.sleep(0.05)
    assert wire.closed == protocol.STALE
    assert session.is_over


# --- tokens while connected -----------------------------------------------------------------------


async def test_a_token_with_an_end_tells_its_ttl_and_refresh_moves_it() -> None:
    bench = Bench(expiry_grace_s=0.05)
    bench.verifier.expires_at_s = time.time() + 0.1
    session, wire = bench.session()
    say(session, connect())
    await turns()
    assert wire.lines()[0]["connect"]["expires"] is True
    bench.verifier.expires_at_s = time.time() + 300
    say(session, {"id": 2, "refresh": {"token": "17"}})
    await turns()
    refreshed = wire.lines()[0]["refresh"]
    assert refreshed["expires"] is True
    assert 298 <= refreshed["ttl"] <= 300
    await asyncio.sleep(0.3)
    assert wire.closed is None
    session.lost()


async def test_a_token_that_is_not_refreshed_ends_the_connection_after_a_grace() -> None:
    bench = Bench(expiry_grace_s=0.05)
    bench.verifier.expires_at_s = time.time() + 0.05
    session, wire = bench.session()
    say(session, connect())
    await turns()
    assert wire.lines()[0]["connect"]["ttl"] == 1
    await asyncio.sleep(0.2)
    assert wire.closed == protocol.EXPIRED
    assert session.is_over


async def test_refresh_with_an_expired_token_is_temporary_and_with_anothers_terminal() -> None:
    session, wire = await Bench().connected()
    say(session, {"id": 2, "refresh": {"token": "expired"}})
    await turns()
    assert wire.lines()[0]["error"] == {"code": 109, "message": "token expired", "temporary": True}
    say(session, {"id": 3, "refresh": {"token": "18"}})
    await turns()
    assert wire.closed == protocol.INVALID_TOKEN


# --- order ----------------------------------------------------------------------------------------


async def test_writes_of_one_frame_are_handed_over_at_once_and_answered_in_order_in_one_frame() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    say(session, *[collect(number) for number in range(2, 10)])
    assert len(bench.writer.queue) == 8
    bench.writer.commit()
    bench.hub.publish([pub(1)])
    bench.hub.flush()
    assert len(wire.frames) == 1
    assert ids(wire) == list(range(2, 10))
    session.lost()


async def test_a_read_waits_for_the_writes_before_it_and_a_write_for_the_reads_before_it() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.reads.gate = asyncio.Event()
    say(session, collect(2), read(3), collect(4), read(5))
    await turns()
    assert len(bench.writer.queue) == 1
    assert bench.reads.asked == []
    bench.writer.commit()
    await turns()
    assert bench.reads.asked == ["friends"]
    assert bench.writer.queue == []
    bench.reads.gate.set()
    await turns()
    assert len(bench.writer.queue) == 1
    bench.writer.commit()
    await turns()
    assert ids(wire) == [2, 3, 4, 5]
    session.lost()


async def test_refusals_wait_their_turn() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    say(
        session,
        collect(2),
        read(3, "no.such"),
        collect(4, key="nonsense"),
        {"id": 5, "presence": {"channel": "x"}},
    )
    await turns()
    assert wire.frames == []
    bench.writer.commit()
    await turns()
    replies = wire.lines()
    assert [reply["id"] for reply in replies] == [2, 3, 4, 5]
    assert [reply.get("error", {}).get("code") for reply in replies] == [None, 104, 107, 104]
    session.lost()


async def test_a_refusal_by_the_game_is_a_reply_with_its_fields() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.writer.answer = lambda _: Outcome(None, Rejected("not_friends", owner="3"))
    say(session, collect(2))
    bench.writer.commit()
    await turns()
    assert wire.lines() == [{"id": 2, "rpc": {"data": {"error": {"code": "not_friends", "owner": "3"}}}}]
    session.lost()


@pytest.mark.parametrize(("code", "number"), [("overloaded", 400), ("unavailable", 401), ("internal", 100)])
async def test_trouble_of_the_engine_is_a_temporary_error(code: str, number: int) -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.writer.answer = lambda _: Outcome(None, Rejected(code))
    say(session, collect(2))
    bench.writer.commit()
    await turns()
    error = wire.lines()[0]["error"]
    assert (error["code"], error["temporary"]) == (number, True)
    session.lost()


async def test_a_full_writer_is_overloaded_at_once_and_in_order() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    say(session, collect(2))
    bench.writer.is_full = True
    say(session, collect(3))
    await turns()
    assert wire.frames == []
    bench.writer.commit()
    await turns()
    replies = wire.lines()
    assert [reply["id"] for reply in replies] == [2, 3]
    assert replies[1]["error"] == {"code": 400, "message": "overloaded", "temporary": True}
    session.lost()


async def test_reads_that_fail_say_how() -> None:
    bench = Bench(read_within_s=0.02)
    session, wire = await bench.connected()
    for error, expected in (
        (Rejected("not_friends"), None),
        (Rejected("unavailable"), 401),
        (RuntimeError("bug"), 100),
    ):
        bench.reads.error = error
        say(session, read(2))
        await turns()
        reply = wire.lines()[0]
        assert reply.get("error", {}).get("code") == expected
    bench.reads.gate = asyncio.Event()
    say(session, read(3))
    await asyncio.sleep(0.05)
    assert wire.lines()[0]["error"]["code"] == 401
    session.lost()


async def test_outstanding_commands_are_bounded_by_leaving_the_rest_unread() -> None:
    bench = Bench(outstanding_max=4)
    session, wire = await bench.connected()
    say(session, *[collect(number) for number in range(2, 5)])
    assert wire.is_reading
    say(session, collect(5))
    assert not wire.is_reading
    bench.writer.commit(1)
    assert not wire.is_reading
    bench.writer.commit()
    assert wire.is_reading
    session.lost()


async def test_after_the_end_nothing_is_sent_and_late_outcomes_are_nothing() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    say(session, collect(2), read(3))
    session.lost()
    bench.writer.commit()
    await turns()
    assert wire.frames == []
    assert bench.reads.asked == []


# --- limits ---------------------------------------------------------------------------------------


async def test_the_rate_limit_refuses_for_a_while_and_closes_who_goes_on() -> None:
    bench = Bench(commands_per_s=1000.0, commands_burst=5)
    session, wire = await bench.connected()
    say(session, *[collect(number) for number in range(2, 10)])
    bench.writer.commit()
    await turns()
    codes = [reply.get("error", {}).get("code") for reply in wire.lines()]
    assert codes[0] is None
    assert codes[-1] == 111
    await asyncio.sleep(0.02)
    say(session, collect(20))
    bench.writer.commit()
    await turns()
    assert "rpc" in wire.lines()[0]
    say(session, *[collect(number) for number in range(100, 160)])
    assert wire.closed == protocol.TOO_MANY_COMMANDS
    assert bench.rt.counters.rate_limited > 0


async def test_a_flood_of_pongs_is_closed_like_one_of_commands() -> None:
    bench = Bench(commands_per_s=20.0, commands_burst=60)
    session, wire = await bench.connected()
    for _ in range(100):
        say(session, {})
    await turns()
    assert wire.closed is None
    for _ in range(6000):
        say(session, {})
    assert wire.closed == protocol.TOO_MANY_COMMANDS


async def test_subscribing_to_everything_after_a_reconnect_is_within_the_rate() -> None:
    bench = Bench(commands_per_s=20.0, commands_burst=60)
    session, wire = await bench.connected()
    say(session, *[subscribe(number, f"forest:{number}") for number in range(2, 130)])
    await turns(2000)
    assert all("subscribe" in reply for reply in wire.lines())
    session.lost()


async def test_a_slow_reader_is_closed_and_what_was_queued_dropped() -> None:
    bench = Bench(send_queue_bytes_max=2000)
    session, wire = await bench.connected()
    say(session, subscribe(2, "user:17"))
    await turns()
    wire.frames.clear()
    wire.unread_bytes = 1990
    bench.hub.publish([pub(1)])
    bench.hub.flush()
    assert wire.closed == protocol.SLOW
    assert wire.frames == []
    assert not bench.hub.is_online(17)


async def test_too_much_in_one_turn_closes_too() -> None:
    bench = Bench(send_queue_bytes_max=2000)
    session, wire = await bench.connected()
    say(session, subscribe(2, "user:17"))
    await turns()
    bench.hub.publish([pub(offset) for offset in range(1, 100)])
    bench.hub.flush()
    assert wire.closed == protocol.SLOW
    assert session.is_over


async def test_nothing_new_is_begun_for_who_does_not_read() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    session.congested(True)
    assert not wire.is_reading
    say(session, read(2), collect(3))
    await turns()
    assert bench.reads.asked == []
    assert bench.writer.queue == []
    session.congested(False)
    await turns()
    bench.writer.commit()
    await turns()
    assert ids(wire) == [2, 3]
    assert wire.is_reading
    session.lost()


async def test_a_client_that_answers_pings_stays_and_a_dead_one_is_closed() -> None:
    bench = Bench(ping_s=0.1, pong_within_s=0.08)
    session, wire = await bench.connected()
    answered = 0
    for _ in range(60):
        await asyncio.sleep(0.005)
        if protocol.PING in wire.frames:
            wire.frames.clear()
            say(session, {})
            answered += 1
    assert wire.closed is None
    assert answered >= 2
    await asyncio.sleep(0.4)
    assert wire.closed == protocol.NO_PONG


@pytest.mark.parametrize(
    ("frame", "close"),
    [
        (b"not json", protocol.BAD_FRAME),
        (b'{"id":2,"rpc":{"method":"tree.list"}}{"id":3}', protocol.BAD_FRAME),
        (b'{"rpc":{"method":"tree.list"}}', protocol.BAD_FRAME),
        (b'{"id":4294967296,"rpc":{"method":"tree.list"}}', protocol.BAD_FRAME),
        (b"\xff", protocol.NOT_UTF8),
    ],
)
async def test_a_bad_frame_closes_and_is_counted(frame: bytes, close: protocol.Close) -> None:
    bench = Bench()
    session, wire = await bench.connected()
    session.receive(frame)
    assert wire.closed == close
    assert sum(bench.rt.counters.faults.values()) == 1
    assert bench.rt.counters.closed[close.code] == 1


# --- subscribing ----------------------------------------------------------------------------------


async def test_subscribe_holds_pushes_until_the_reply_and_lets_them_follow_it() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.reads.heads["user:17"] = 5
    bench.reads.gate = asyncio.Event()
    say(session, subscribe(2, "user:17"))
    await turns()
    bench.hub.publish([pub(5), pub(6)])
    bench.hub.flush()
    assert wire.frames == []
    bench.reads.gate.set()
    await turns()
    assert len(wire.frames) == 1
    reply, push = wire.lines()
    assert reply["subscribe"] == {"recoverable": True, "positioned": True, "epoch": "e1", "offset": 5}
    assert push["push"]["pub"]["offset"] == 6
    session.lost()


async def test_recovery_carries_the_requested_offset_and_what_was_missed() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.hub.publish([pub(1), pub(2), pub(3)])
    bench.reads.heads["user:17"] = 3
    say(session, subscribe(2, "user:17", recover=True, epoch="e1", offset=1))
    await turns()
    [reply] = wire.lines()
    assert reply["subscribe"]["offset"] == 1
    assert reply["subscribe"]["recovered"] is True
    assert [p["offset"] for p in reply["subscribe"]["publications"]] == [2, 3]
    bench.hub.publish([pub(4)])
    bench.hub.flush()
    assert wire.lines()[0]["push"]["pub"]["offset"] == 4
    session.lost()


@pytest.mark.parametrize(("epoch", "offset"), [("e0", 3), ("e1", 0), ("e1", 9), ("", 3)])
async def test_an_impossible_position_is_refused_in_the_way_asked_for(epoch: str, offset: int) -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.hub.publish([pub(2), pub(3)])
    bench.reads.heads["user:17"] = 3
    say(session, subscribe(2, "user:17", recover=True, epoch=epoch, offset=offset))
    await turns()
    result = wire.lines()[0]["subscribe"]
    assert (result["was_recovering"], result["recovered"], result["offset"]) == (True, False, 3)
    say(session, {"id": 3, "unsubscribe": {"channel": "user:17"}})
    say(session, subscribe(4, "user:17", recover=True, epoch=epoch, offset=offset, flag=3))
    await turns()
    unsubscribed, refused = wire.lines()
    assert unsubscribed == {"id": 3, "unsubscribe": {}}
    assert refused["error"] == {"code": 112, "message": "unrecoverable position"}
    assert bench.hub.subscribed(session, 17) == 0
    session.lost()


async def test_recovery_fetches_what_other_nodes_published() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.hub.note("user:17", 1, 501)
    bench.hub.publish([pub(2)])
    bench.reads.rows[501] = ("user:17", 1, b'{"from":"elsewhere"}')
    bench.reads.heads["user:17"] = 2
    say(session, subscribe(2, "user:17", recover=True, epoch="e1", offset=0))
    await turns()
    publications = wire.lines()[0]["subscribe"]["publications"]
    assert publications == [{"data": {"from": "elsewhere"}, "offset": 1}, {"data": {"n": 2}, "offset": 2}]
    session.lost()


@pytest.mark.parametrize(
    ("channel", "code"),
    [
        ("user:18", 103),
        ("forest:3", 103),
        ("team:1", 102),
        ("user:", 102),
        ("user:017", 102),
        ("forest:9007199254740993", 102),
        ("x", 102),
    ],
)
async def test_channels_that_may_not_be_heard(channel: str, code: int) -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.reads.forbidden |= {(17, "user:18"), (17, "forest:3")}
    say(session, subscribe(2, channel))
    await turns()
    error = wire.lines()[0]["error"]
    assert error["code"] == code
    assert "temporary" not in error
    assert bench.hub.subscribed(session, 17) == 0
    session.lost()


async def test_a_permission_that_ends_while_subscribing_is_refused() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.reads.gate = asyncio.Event()
    say(session, subscribe(2, "forest:3"))
    await turns()
    bench.hub.publish([Revocation(17, "forest:3", 9)])
    bench.reads.gate.set()
    await turns()
    assert wire.lines()[0]["error"]["code"] == 103
    assert bench.hub.subscribed(session, 17) == 0
    session.lost()


async def test_a_database_that_is_away_leaves_no_half_subscription() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    bench.reads.error = Rejected("unavailable")
    say(session, subscribe(2, "user:17"))
    await turns()
    assert wire.lines()[0]["error"]["temporary"] is True
    assert bench.hub.subscribed(session, 17) == 0
    bench.reads.error = None
    say(session, subscribe(3, "user:17"), subscribe(4, "user:17"))
    await turns()
    done, again = wire.lines()
    assert "subscribe" in done
    assert again["error"]["code"] == 105
    session.lost()


async def test_channels_of_one_connection_are_bounded() -> None:
    bench = Bench(channels_max=2)
    session, wire = await bench.connected()
    say(session, *[subscribe(number, f"forest:{number}") for number in range(2, 5)])
    await turns(30)
    assert wire.lines()[-1]["error"]["code"] == 106
    session.lost()


async def test_a_connection_lost_while_subscribing_leaves_nothing() -> None:
    bench = Bench()
    session, _ = await bench.connected()
    bench.reads.gate = asyncio.Event()
    say(session, subscribe(2, "user:17"))
    await turns()
    session.lost()
    await turns()
    assert bench.hub.watched() == []


async def test_the_collectors_own_publication_comes_in_the_frame_of_the_reply_after_it() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    say(session, subscribe(2, "user:17"))
    await turns()
    wire.lines()
    say(session, collect(3, key=KEY))
    bench.writer.commit()
    bench.hub.publish([pub(1)])
    bench.hub.flush()
    [frame] = wire.frames
    reply, push = [json.loads(line) for line in frame.split(b"\n")]
    assert reply["id"] == 3
    assert push["push"]["pub"]["offset"] == 1
    assert isinstance(session, Session)
    session.lost()
