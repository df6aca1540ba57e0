"""The hub's promise: to each subscription offsets in order, without a gap and without a repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.publication import Publication, Revocation
from engine.realtime import protocol
from engine.realtime.hub import Hub, Subscription
from engine.realtime.limits import Limits


class Ear:
    """A listener that remembers the lines it was given."""

    def __init__(self) -> None:
        self.is_dirty = False
        self.queued: list[bytes] = []
        self.lines: list[Any] = []
        self.frames = 0
        self.ended: protocol.Close | None = None

    def push(self, line: bytes) -> None:
        """Queue."""
        self.queued.append(line)

    def flush(self) -> None:
        """Take all that is queued as one frame."""
        self.is_dirty = False
        self.frames += 1
        self.lines += [json.loads(line) for line in self.queued]
        self.queued.clear()

    def end(self, close: protocol.Close) -> None:
        """Remember why."""
        self.ended = close

    def offsets(self, channel: str = "user:1") -> list[int]:
        """The offsets given on a channel."""
        pushes = [json.loads(line)["push"] for line in self.queued]
        return [push["pub"]["offset"] for push in pushes if push["channel"] == channel and "pub" in push]


def a_hub(clock: Callable[[], float] = lambda: 0.0, **limits: Any) -> Hub:
    return Hub(Limits(**limits), "e1", clock=clock, call_soon=lambda _: None)


def pub(offset: int, channel: str = "user:1", data: bytes | None = None) -> Publication:
    return Publication(channel, offset, data or b'{"n":%d}' % offset, 1000 + offset)


def listen(
    hub: Hub, channel: str = "user:1", user: int = 1, sent: int = 0, top: int = 0
) -> tuple[Ear, Subscription]:
    ear = Ear()
    hub.join(ear, user)
    subscription = hub.hold(ear, user, channel)
    assert subscription is not None
    hub.release(subscription, sent, top)
    return ear, subscription


def test_a_publication_is_encoded_once_for_all_who_listen() -> None:
    hub = a_hub()
    ears = [listen(hub, user=user)[0] for user in range(1, 4)]
    hub.publish([pub(1)])
    assert ears[0].queued[0] is ears[1].queued[0] is ears[2].queued[0]
    assert json.loads(ears[0].queued[0]) == {
        "push": {"channel": "user:1", "pub": {"data": {"n": 1}, "offset": 1}}
    }


def test_repeats_are_dropped_and_late_ones_wait_for_the_gap_to_fill() -> None:
    hub = a_hub()
    ear, _ = listen(hub)
    hub.publish([pub(1), pub(1), pub(3)])
    assert ear.offsets() == [1]
    assert list(hub.lagging) == ["user:1"]
    assert hub.wanted("user:1") == ([], [(1001, 1003)])
    hub.publish([pub(2)])
    assert ear.offsets() == [1, 2, 3]
    assert hub.still_lagging("user:1") == []
    assert not hub.lagging


def test_pushes_are_held_while_subscribing_and_what_the_reply_covers_is_not_repeated() -> None:
    hub = a_hub()
    ear = Ear()
    hub.join(ear, 1)
    subscription = hub.hold(ear, 1, "user:1")
    assert subscription is not None
    hub.publish([pub(1), pub(2), pub(3)])
    assert ear.queued == []
    hub.release(subscription, 2, 2)
    assert ear.offsets() == [3]


def test_a_second_subscribe_of_one_connection_is_refused() -> None:
    hub = a_hub()
    ear, _ = listen(hub)
    assert hub.hold(ear, 1, "user:1") is None
    assert hub.leave(ear, 1, "user:1")
    assert not hub.leave(ear, 1, "user:1")
    assert hub.hold(ear, 1, "user:1") is not None


def test_recovery_gives_all_that_was_missed_or_nothing() -> None:
    hub = a_hub()
    hub.publish([pub(offset) for offset in range(4, 9)])
    assert [entry[0] for entry in hub.recovery("user:1", 5, 8) or []] == [6, 7, 8]
    assert [entry[0] for entry in hub.recovery("user:1", 3, 8) or []] == [4, 5, 6, 7, 8]
    assert hub.recovery("user:1", 8, 8) == []
    assert hub.recovery("user:1", 2, 8) is None  # 3 is gone
    assert hub.recovery("user:1", 9, 8) is None  # from the future
    assert hub.recovery("user:2", 0, 0) == []
    assert hub.recovery("user:2", 0, 1) is None  # nothing is known of that channel
    assert hub.recovery("user:1", 8, 9) == []  # 9 is committed and on its way


def test_recovery_is_bounded_in_number_and_bytes() -> None:
    hub = a_hub(recovery_max=3, channel_history_max=100)
    hub.publish([pub(offset) for offset in range(1, 6)])
    assert hub.recovery("user:1", 1, 5) is None
    assert len(hub.recovery("user:1", 2, 5) or []) == 3
    hub = a_hub(recovery_bytes_max=1000, channel_history_bytes_max=100_000)
    hub.publish([pub(offset, data=b'"%s"' % (b"x" * 300)) for offset in range(1, 6)])
    assert hub.recovery("user:1", 1, 5) is None
    assert len(hub.recovery("user:1", 2, 5) or []) == 3


def test_history_is_bounded_by_time_and_bytes_of_a_channel_and_of_all() -> None:
    now = [0.0]
    hub = a_hub(lambda: now[0], history_s=10.0)
    hub.publish([pub(1)])
    now[0] = 9.0
    hub.publish([pub(2)])
    now[0] = 11.0
    hub.publish([pub(1, "user:2")])
    assert hub.recovery("user:1", 0, 2) is None
    assert len(hub.recovery("user:1", 1, 2) or []) == 1
    now[0] = 100.0
    hub.publish([])
    assert hub.history_bytes == 0
    assert hub.watched() == []

    hub = a_hub(channel_history_max=3)
    hub.publish([pub(offset) for offset in range(1, 10)])
    assert hub.recovery("user:1", 5, 9) is None
    assert len(hub.recovery("user:1", 6, 9) or []) == 3

    hub = a_hub(history_bytes_max=10_000)
    hub.publish([pub(1, f"user:{user}") for user in range(1, 1000)])
    assert hub.history_bytes <= 10_000
    assert hub.recovery("user:999", 0, 1)
    assert hub.recovery("user:1", 0, 1) is None


def test_what_another_node_published_is_noted_without_data_and_filled_in_later() -> None:
    hub = a_hub()
    hub.note("user:1", 1, 501)
    hub.note("user:1", 2, 502)
    assert hub.recovery("user:1", 0, 2) == [(1, 501, None), (2, 502, None)]
    ear, _ = listen(hub, sent=0, top=2)
    assert ear.offsets() == []
    assert hub.wanted("user:1") == ([501, 502], [])
    hub.publish([Publication("user:1", 2, b"{}", 502), Publication("user:1", 1, b"{}", 501)])
    assert ear.offsets() == [1, 2]


def test_announcements_have_no_offset_and_move_nothing() -> None:
    hub = a_hub()
    ear, subscription = listen(hub)
    hub.announce("user:1", b'{"type":"ball.ripened"}')
    hub.announce("user:9", b"{}")
    assert json.loads(ear.queued[0])["push"]["pub"] == {"data": {"type": "ball.ripened"}}
    assert subscription.sent == 0


def test_a_revocation_ends_the_subscription_with_a_terminal_push() -> None:
    hub = a_hub()
    ear, _ = listen(hub, "forest:2", user=1)
    other, _ = listen(hub, "forest:2", user=3)
    hub.publish([Revocation(1, "forest:2", 70)])
    push = json.loads(ear.queued[0])["push"]
    assert push["channel"] == "forest:2"
    assert push["unsubscribe"] == {"code": 2001, "reason": "permission lost"}
    hub.publish([pub(1, "forest:2")])
    assert len(ear.queued) == 1
    assert other.offsets("forest:2") == [1]


def test_a_revocation_heard_twice_does_not_end_what_was_allowed_again() -> None:
    hub = a_hub()
    hub.publish([Revocation(1, "forest:2", 70)])
    ear, _ = listen(hub, "forest:2", user=1)
    hub.publish([Revocation(1, "forest:2", 70)])
    assert ear.queued == []
    hub.publish([Revocation(1, "forest:2", 71)])
    assert len(ear.queued) == 1


def test_a_revocation_while_subscribing_is_left_to_who_subscribes() -> None:
    hub = a_hub()
    ear = Ear()
    hub.join(ear, 1)
    subscription = hub.hold(ear, 1, "forest:2")
    assert subscription is not None
    hub.publish([Revocation(1, "forest:2", 70)])
    assert subscription.revoked
    assert ear.queued == []


def test_the_end_of_an_account_closes_all_its_connections() -> None:
    hub = a_hub()
    ears = [listen(hub)[0], listen(hub)[0]]
    stranger, _ = listen(hub, "user:2", user=2)
    hub.publish([Revocation(1, None, 70)])
    assert [ear.ended for ear in ears] == [protocol.NOT_ALLOWED] * 2
    assert stranger.ended is None


def test_a_new_epoch_voids_everything() -> None:
    hub = a_hub()
    ear, _ = listen(hub)
    hub.publish([pub(1)])
    hub.restart("e2")
    assert ear.ended == protocol.STATE_INVALIDATED
    assert hub.epoch == "e2"
    assert hub.recovery("user:1", 0, 1) is None


def test_who_is_gone_leaves_nothing_behind() -> None:
    hub = a_hub()
    ear, _ = listen(hub)
    assert hub.is_online(1)
    hub.gone(ear, 1)
    assert not hub.is_online(1)
    assert hub.watched() == []
    hub.publish([pub(1)])
    assert ear.queued == []


def test_one_turn_is_one_frame() -> None:
    hub = a_hub()
    ear, _ = listen(hub)
    hub.publish([pub(1), pub(2)])
    hub.touch(ear)
    hub.touch(ear)
    hub.flush()
    hub.flush()
    assert ear.frames == 1
    assert len(ear.lines) == 2


class Interleavings(RuleBasedStateMachine):
    """Commits happen in order; their publications reach the hub in any order, some twice, some late, while
    clients subscribe from the head, recover from anywhere, leave and come back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hub = a_hub(channel_history_max=6, recovery_max=5)
        self.top = 0  # what is committed
        self.unsent: list[int] = []  # committed and not yet published here
        self.clients: list[tuple[Ear, Subscription, int]] = []  # the reply's position comes with each
        self.subscribing: list[tuple[Ear, Subscription, int, int | None]] = []
        self.left: list[int] = []  # positions of clients that went away

    @rule(count=st.integers(1, 4))
    def commit(self, count: int) -> None:
        """The writer commits."""
        for _ in range(count):
            self.top += 1
            self.unsent.append(self.top)

    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        """Some of what is committed reaches the hub, in any order."""
        if self.unsent:
            chosen = data.draw(st.lists(st.sampled_from(self.unsent), max_size=5, unique=True))
            self.hub.publish([pub(offset) for offset in chosen])
            self.unsent = [offset for offset in self.unsent if offset not in chosen]

    @rule(offset=st.integers(1, 40))
    def publish_again(self, offset: int) -> None:
        """The journal's tail is read a second time."""
        if offset <= self.top and offset not in self.unsent:
            self.hub.publish([pub(offset)])

    @rule(offset=st.integers(1, 40))
    def note(self, offset: int) -> None:
        """The bus tells of a publication without its data."""
        if offset in self.unsent:
            self.hub.note("user:1", offset, 1000 + offset)

    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """A client starts to subscribe: it is held, and its position is read now or a little later."""
        ear = Ear()
        self.hub.join(ear, 1)
        subscription = self.hub.hold(ear, 1, "user:1")
        assert subscription is not None
        since = data.draw(st.one_of(st.none(), st.integers(0, self.top + 1)))
        self.subscribing.append((ear, subscription, self.top, since))

    @rule()
    def finish(self) -> None:
        """The oldest subscribe is answered from the position that it read."""
        if not self.subscribing:
            return
        ear, subscription, top, since = self.subscribing.pop(0)
        entries = None if since is None else self.hub.recovery("user:1", since, top)
        if entries is None or since is None or any(data is None for _, _, data in entries):
            self.hub.release(subscription, top, top)
            self.clients.append((ear, subscription, top))
            return
        assert [offset for offset, _, _ in entries] == list(range(since + 1, since + 1 + len(entries)))
        self.hub.release(subscription, since + len(entries), top)
        self.clients.append((ear, subscription, since + len(entries)))

    @rule()
    def leave(self) -> None:
        """A client goes."""
        if self.clients:
            ear, _, _ = self.clients.pop()
            self.hub.gone(ear, 1)

    @invariant()
    def each_client_got_contiguous_offsets(self) -> None:
        """What it was sent begins right after its reply and has no gap and no repeat."""
        for ear, subscription, base in self.clients:
            got = ear.offsets()
            assert got == list(range(base + 1, base + 1 + len(got)))
            assert subscription.sent == base + len(got)

    @invariant()
    def memory_is_counted_right(self) -> None:
        """The bytes that the bound looks at are those that are kept."""
        kept = sum(channel.bytes for channel in self.hub._channels.values())
        assert kept == self.hub.history_bytes

    def teardown(self) -> None:
        """When all has arrived (again, where it was pruned), everybody has everything, or is known to lag."""
        while self.subscribing:
            self.finish()
        lowest = min((base for _, _, base in self.clients), default=0)
        for offset in range(lowest + 1, self.top + 1):
            self.hub.publish([pub(offset)])
        for ear, subscription, base in self.clients:
            got = ear.offsets()
            assert got == list(range(base + 1, base + 1 + len(got)))
            if subscription.sent < self.top:
                assert subscription in self.hub.still_lagging("user:1")


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
