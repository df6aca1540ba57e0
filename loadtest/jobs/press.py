"""Many users press at the same instant: one hot ball, or a ball of their own each. All must get a definite answer."""

import asyncio
from time import perf_counter

from loadtest.connection import Connection, Load
from loadtest.jobs.common import (
    alive,
    close_all,
    codes,
    collect_frames,
    decode_push,
    latency_ms,
    no_collector,
    open_sessions,
    outcome_of,
)
from loadtest.jobs.plans import PressPlan

ANSWER_TIMEOUT_S = 20.0
POLL_S = 0.002
Pushes = list[tuple[float, bytes]]


async def run(plan: PressPlan) -> dict[str, object]:
    """Latencies of all presses, what was answered, and when the last client had the final state."""
    connections = await open_sessions(plan.server, plan.sessions, None)
    for connection in connections:
        connection.pushes = []
    frames = collect_frames(plan.sessions)
    latencies: list[float] = []
    outcomes: list[str] = []
    final_s: list[float] = []
    unanswered = behind = 0
    for turn in range(plan.repeats):
        with no_collector():
            pressed_at, log = await _press_all(
                connections, [its_frames[turn : turn + 1] for its_frames in frames], turn
            )
            await asyncio.sleep(plan.settle_s)
        latencies += [now - pressed_at for now, _, _ in log]
        outcomes += [outcome_of(line)[0] for _, _, line in log]
        unanswered += len(connections) - len(log)
        if plan.hot:
            ball = str(plan.sessions[0].presses[turn][1])
            reached = _final_state([connection.pushes or [] for connection in connections], ball)
            final_s += [at - pressed_at for at in reached[-1:]]
            behind += len(connections) - len(reached)
        for connection in connections:
            connection.pushes = []
    still_open = alive(connections)
    await close_all(connections)
    return {
        **latency_ms(latencies),
        "outcomes": codes(outcomes),
        "unanswered": unanswered,
        "closed": len(connections) - still_open,
        "final_state_ms": [seconds * 1000 for seconds in final_s],
        "without_final_state": behind,
    }


async def _press_all(
    connections: list[Connection], frames: list[list[bytes]], turn: int
) -> tuple[float, list[tuple[float, float, bytes]]]:
    log: list[tuple[float, float, bytes]] = []
    pressed_at = perf_counter()
    for connection, its_frames in zip(connections, frames, strict=True):
        load = Load([b""] * turn + its_frames, turn, log)  # ids go on from turn to turn
        load.sent_at = [pressed_at] * (turn + 1)
        load.next = load.sent = turn + 1
        connection.load = load
        connection.write(its_frames[0])
    give_up = pressed_at + ANSWER_TIMEOUT_S
    while len(log) < len(connections) and perf_counter() < give_up:
        await asyncio.sleep(POLL_S)
    return pressed_at, log


def _final_state(pushes: list[Pushes], ball: str) -> list[float]:
    """When each client first knew what finally was left in the ball, earliest first, without those that never did."""
    known: list[dict[int, float]] = []
    lowest: int | None = None
    for its_pushes in pushes:
        first: dict[int, float] = {}
        for now, line in its_pushes:
            body = decode_push(line).push
            for fact in body.pub.data.balls if body.pub is not None else []:
                if fact.id == ball and fact.remaining_g >= 0:
                    first.setdefault(fact.remaining_g, now)
                    lowest = fact.remaining_g if lowest is None else min(lowest, fact.remaining_g)
        known.append(first)
    return sorted(first[lowest] for first in known if lowest is not None and lowest in first)
