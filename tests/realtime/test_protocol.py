"""Frames in and out, without sockets."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.realtime import protocol
from engine.realtime.methods import METHODS, BadParams, Read, Write, decode_params
from engine.realtime.protocol import BadFrame, Fault, decode_frame
from tests.realtime.small import KEY


def test_commands_of_one_frame_come_line_by_line() -> None:
    frame = b'{"id":1,"connect":{"token":"t"}}\n{"id":2,"rpc":{"method":"m","data":{"a":1}}}\n{}\n'
    connect, rpc, pong = decode_frame(frame)
    assert connect.connect is not None
    assert connect.connect.token == "t"
    assert rpc.rpc is not None
    assert (rpc.id, rpc.rpc.method, bytes(rpc.rpc.data)) == (2, "m", b'{"a":1}')
    assert pong.is_pong()
    assert not rpc.is_pong()


def test_unknown_fields_are_ignored_everywhere() -> None:
    frame = b'{"id":7,"later":[1],"subscribe":{"channel":"user:1","delta":"fossil","tf":{},"flag":3}}'
    [command] = decode_frame(frame)
    assert command.subscribe == protocol.Subscribe("user:1", flag=3)


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (b"", Fault.EMPTY),
        (b"   ", Fault.EMPTY),
        (b"\n\n", Fault.EMPTY),
        (b"hello", Fault.NOT_JSON),
        (b'{"id":1', Fault.NOT_JSON),
        (b'{"id":1}{"id":2}', Fault.NOT_JSON),
        (b'{"id":1} {"id":2}', Fault.NOT_JSON),
        (b'{"id":NaN}', Fault.NOT_JSON),
        (b'{"a":' * 5000, Fault.NOT_JSON),
        (b"[" * 60000, Fault.WRONG_SHAPE),
        (b"[]", Fault.WRONG_SHAPE),
        (b"null", Fault.WRONG_SHAPE),
        (b'"text"', Fault.WRONG_SHAPE),
        (b'{"id":"1"}', Fault.WRONG_SHAPE),
        (b'{"id":-1}', Fault.WRONG_SHAPE),
        (b'{"id":1.5}', Fault.WRONG_SHAPE),
        (b'{"id":4294967296}', Fault.WRONG_SHAPE),
        (b'{"id":99999999999999999999999999999999}', Fault.WRONG_SHAPE),
        (b'{"id":1e400}', Fault.WRONG_SHAPE),
        (b'{"id":1,"rpc":[]}', Fault.WRONG_SHAPE),
        (b'{"id":1,"rpc":{}}', Fault.WRONG_SHAPE),
        (b'{"id":1,"rpc":{"method":7}}', Fault.WRONG_SHAPE),
        (b'{"id":1,"rpc":{"method":""}}', Fault.WRONG_SHAPE),
        (b'{"id":1,"rpc":{"method":"%s"}}' % (b"m" * 65), Fault.WRONG_SHAPE),
        (b'{"id":1,"subscribe":{"channel":17}}', Fault.WRONG_SHAPE),
        (b'{"id":1,"subscribe":{"channel":"user:1","offset":-1}}', Fault.WRONG_SHAPE),
        (b'{"id":1,"subscribe":{"channel":"user:1","offset":18446744073709551616}}', Fault.WRONG_SHAPE),
        (b'{"id":1,"subscribe":{"channel":"user:1","recover":"yes"}}', Fault.WRONG_SHAPE),
        (b'{"id":1,"connect":{"token":"%s"}}' % (b"x" * 9000), Fault.WRONG_SHAPE),
        (b"\xff\xfe", Fault.NOT_UTF8),
        (b'{"id":1,"rpc":{"method":"\xc3\x28"}}', Fault.NOT_UTF8),
        (b"{}\n" * 513, Fault.TOO_MANY),
    ],
)
def test_each_hostile_frame_has_its_typed_fault(frame: bytes, fault: Fault) -> None:
    with pytest.raises(BadFrame) as caught:
        decode_frame(frame)
    assert caught.value.fault is fault


@given(st.binary(max_size=200))
def test_any_bytes_are_commands_or_a_bad_frame(frame: bytes) -> None:
    try:
        commands = decode_frame(frame)
    except BadFrame as bad:
        commands, close = [], protocol.close_for(bad.fault)
    else:
        close = None
    assert close in (None, protocol.BAD_FRAME, protocol.NOT_UTF8)
    assert all(0 <= command.id <= protocol.COMMAND_ID_MAX for command in commands)


def test_errors_carry_code_and_message_and_those_that_pass_say_temporary() -> None:
    for error in protocol.ERRORS:
        reply = json.loads(protocol.error_reply(5, error))
        assert reply["id"] == 5
        assert reply["error"]["code"] == error.code
        assert reply["error"]["message"]
        assert reply["error"].get("temporary", False) is error.temporary
    temporary = {error.message for error in protocol.ERRORS if error.temporary}
    assert temporary == {
        "internal server error",
        "token expired",
        "too many requests",
        "overloaded",
        "database away",
    }


def test_close_reasons_are_short_ascii_and_codes_are_distinct() -> None:
    assert len({close.code for close in protocol.CLOSES}) == len(protocol.CLOSES)
    assert all(len(close.reason) < 32 and close.reason.isascii() for close in protocol.CLOSES)


def test_every_reply_has_its_result_key() -> None:
    assert json.loads(protocol.unsubscribe_reply(3)) == {"id": 3, "unsubscribe": {}}
    assert json.loads(protocol.rpc_reply(3, b"{}")) == {"id": 3, "rpc": {"data": {}}}
    connect = json.loads(protocol.connect_reply(1, "c", "v", 25, 60, b'{"v":1}'))["connect"]
    assert connect == {
        "client": "c", "version": "v", "expires": True, "ttl": 60, "ping": 25, "pong": True, "data": {"v": 1}
    }  # fmt: skip
    assert "expires" not in json.loads(protocol.refresh_reply(1, "c", "v", None))["refresh"]


def test_subscribe_replies() -> None:
    position = {"recoverable": True, "positioned": True, "epoch": "e", "offset": 4}
    assert json.loads(protocol.subscribe_reply(1, "e", 4))["subscribe"] == position
    refused = json.loads(protocol.subscribe_reply(1, "e", 4, False))["subscribe"]
    assert refused == position | {"was_recovering": True, "recovered": False}
    publications = [protocol.publication(5, b'{"a":1}'), protocol.publication(6, b"{}")]
    recovered = json.loads(protocol.subscribe_reply(1, "e", 4, True, publications))["subscribe"]
    assert recovered["publications"] == [{"data": {"a": 1}, "offset": 5}, {"data": {}, "offset": 6}]


def test_pushes() -> None:
    push = json.loads(protocol.publication_push(b"user:1", 9, b'{"x":1}'))["push"]
    assert push == {"channel": "user:1", "pub": {"data": {"x": 1}, "offset": 9}}
    assert "offset" not in json.loads(protocol.publication_push(b"user:1", 0, b"{}"))["push"]["pub"]
    ended = json.loads(protocol.unsubscribe_push(b"forest:2", protocol.PERMISSION_LOST))["push"][
        "unsubscribe"
    ]
    assert 2000 <= ended["code"] < 2500
    assert ended["reason"]


# --- methods --------------------------------------------------------------------------------------


def _params(method: str, data: object) -> object:
    return decode_params(METHODS[method], msgspec.Raw(json.dumps(data).encode()))


def _taken(name: str, data: object) -> None:
    """As a session takes it: ids are looked at when the data becomes a command."""
    method, params = METHODS[name], _params(name, data)
    if isinstance(method, Write):
        method.command(17, params)


def test_the_methods_are_those_of_the_table() -> None:
    reads = {name for name, method in METHODS.items() if isinstance(method, Read)}
    assert reads == {
        "forest.get", "ball.receipt", "activity.list", "friend.list", "friend.find", "offer.catalogue", "tree.list",
    }  # fmt: skip
    assert set(METHODS) - reads == {
        "activity.submit",
        "ball.collect", "friend.request", "friend.answer", "friend.remove", "friend.block", "offer.redeem",
        "tree.choose",
    }  # fmt: skip


def test_collect_becomes_a_command_of_integers_and_a_lower_case_key() -> None:
    method = METHODS["ball.collect"]
    assert isinstance(method, Write)
    command = method.command(
        17, _params("ball.collect", {"key": KEY.upper(), "owner": "3", "balls": ["5", "6"]})
    )
    assert (command.key, command.user, command.owner, command.balls) == (KEY, 17, 3, (5, 6))  # type: ignore[attr-defined]
    own = method.command(17, _params("ball.collect", {"key": KEY, "balls": ["5"]}))
    assert own.owner == 17  # type: ignore[attr-defined]


@pytest.mark.parametrize("data", [None, {}, {"unknown": 1}])
def test_methods_without_data_take_none(data: object) -> None:
    assert _params("friend.list", data) is not None


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("ball.collect", None),
        ("ball.collect", {"key": KEY}),
        ("ball.collect", {"key": KEY, "balls": []}),
        ("ball.collect", {"key": KEY, "balls": ["1"] * 51}),
        ("ball.collect", {"key": KEY, "balls": [1]}),
        ("ball.collect", {"key": KEY, "balls": ["01"]}),
        ("ball.collect", {"key": KEY, "balls": ["-1"]}),
        ("ball.collect", {"key": KEY, "balls": "1"}),
        ("ball.collect", {"key": KEY, "balls": "every"}),
        ("ball.collect", {"key": KEY, "balls": ["all"]}),
        ("ball.collect", {"balls": "all"}),
        ("friend.find", {"after": 5}),
        ("ball.collect", {"key": "0190c8a0-1234-4abc-8def-0123456789ab", "balls": ["1"]}),
        ("ball.collect", {"key": KEY + "\n", "balls": ["1"]}),
        ("ball.collect", {"key": 5, "balls": ["1"]}),
        ("forest.get", {"user": 5}),
        ("activity.list", {"limit": 0}),
        ("activity.list", {"limit": 101}),
        ("activity.list", {"limit": True}),
        ("friend.request", {"key": KEY}),
        ("friend.answer", {"key": KEY, "user": "5", "accept": "yes"}),
        ("offer.redeem", {"key": KEY, "offer": "x" * 65}),
        ("offer.redeem", {"key": KEY, "offer": "../etc"}),
        ("tree.list", []),
        ("tree.list", "text"),
    ],
)
def test_wrong_data_is_a_bad_request(method: str, data: object) -> None:
    with pytest.raises(BadParams) as caught:
        _taken(method, data)
    assert str(caught.value).isascii()


@pytest.mark.parametrize("huge", ["9007199254740992", "9999999999999999"])
def test_ids_stay_below_two_to_the_53(huge: str) -> None:
    method = METHODS["ball.collect"]
    assert isinstance(method, Write)
    with pytest.raises(BadParams):
        method.command(1, _params("ball.collect", {"key": KEY, "balls": [huge]}))


def test_a_bomb_of_brackets_in_data_is_a_bad_request() -> None:
    bomb = msgspec.Raw(b'{"key":' + b"[" * 20000 + b"]" * 20000 + b"}")
    with pytest.raises(BadParams):
        decode_params(METHODS["ball.collect"], bomb)
