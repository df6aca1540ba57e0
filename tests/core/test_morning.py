"""Ripening offsets flatten 07:00: the balls of a night come up spread over the morning's window."""

from __future__ import annotations

from collections import Counter

from engine.core.context import ripening_offset_s
from tests.core.world import HOUR_MS, World

USERS = 30_000


def test_no_minute_of_the_window_is_a_peak() -> None:
    window_min = 30
    minutes = Counter(min(ripening_offset_s(user, window_min * 60) // 60, 29) for user in range(1, USERS + 1))
    even = USERS / window_min
    assert set(minutes) == set(range(window_min))
    assert max(minutes.values()) < 1.15 * even, "the fullest minute"
    assert min(minutes.values()) > 0.85 * even, "the emptiest"


def test_balls_of_one_night_ripen_over_the_window_and_a_user_at_the_same_time_each_day() -> None:
    world = World()
    users = world.village(40)
    times: dict[int, list[int]] = {}
    for day in (0, 1):
        on = world.days_on(day).isoformat()
        for user in users:
            ball = world.ball(
                user, f"walk-{user}-{day}", "walking", quantity=9_000, on=world.days_on(day), revision=1
            )
            times.setdefault(user, []).append(world.state.balls[ball].ripens_at)
        world.now += 24 * HOUR_MS
        assert len({days[day] for days in times.values()}) > 35, on
    assert all(second - first == 24 * HOUR_MS for first, second in times.values())
    first = [days[0] for days in times.values()]
    window_ms = world.rules.game_on(world.days_on(0)).morning_window_min * 60_000
    assert 0.7 * window_ms < max(first) - min(first) <= window_ms
