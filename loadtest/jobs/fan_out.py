"""One event to many sockets: deliveries a second, frames a second, and how late the last ones are."""

import asyncio
from time import perf_counter

from loadtest import wire
from loadtest.connection import Load
from loadtest.jobs.common import (
    close_all,
    codes,
    collect_frames,
    decode_push,
    latency_ms,
    no_collector,
    open_sessions,
    outcome_of,
    reasons,
)
from loadtest.jobs.plans import FanOutPlan, Session
from loadtest.measure import CpuWindow

SETTLE_S = 0.5
OUTSTANDING = 2  # the next event waits while one goes out: the server is never idle
Sent = tuple[Load, int]


async def run(plan: FanOutPlan) -> dict[str, object]:
    """Figures of one round."""
    echo = plan.server.speaks == "echo"
    pushes: list[tuple[float, bytes]] = []
    log: list[tuple[float, float, bytes]] = []
    listeners = await open_sessions(plan.server, plan.listeners, pushes)
    speaking = plan.server
    if echo:
        speaking.path = "/speak"
    speakers = await open_sessions(speaking, plan.speakers, None)
    frames = collect_frames(plan.speakers)
    loads = [Load(its_frames, OUTSTANDING, log) for its_frames in frames]
    await asyncio.sleep(SETTLE_S)
    with no_collector():
        started = perf_counter()
        for speaker, load in zip(speakers, loads, strict=True):
            speaker.start(load)
        await asyncio.sleep(plan.warm_up_s)
        cpu_window = CpuWindow.start(plan.server.pids)
        frames_before, begin = sum(one.frames_received for one in listeners), perf_counter()
        await asyncio.sleep(plan.measure_s)
        frames_after, end = sum(one.frames_received for one in listeners), perf_counter()
        cpu = cpu_window.stop()
        for load in loads:
            load.stopped = True
        await asyncio.sleep(SETTLE_S)
    if log and log[-1][0] <= begin:  # all said while still warming up
        begin, frames_before = started, 0
    closed = reasons([*listeners, *speakers])
    await close_all([*listeners, *speakers])
    deliveries, latencies = _deliveries(pushes, _sent(plan.speakers, loads, echo), begin, end, echo)
    answers = [line for now, _, line in log if begin < now <= end]
    return {
        "deliveries_per_s": deliveries / (end - begin),
        "frames_per_s": (frames_after - frames_before) / (end - begin),
        "events_per_s": len(answers) / (end - begin),
        **latency_ms(latencies),
        "cpu_us_per_delivery": {name: used / max(1, deliveries) * 1e6 for name, used in cpu.items()},
        "outcomes": codes("collected" if echo else outcome_of(line)[0] for line in answers),
        "ran_out": any(load.ran_out_at is not None for load in loads),
        "closed": closed,
    }


def _sent(speakers: list[Session], loads: list[Load], echo: bool) -> dict[bytes | str, Sent]:
    """From what a delivery shows (ball id, or the whole line) to the press that caused it."""
    if echo:
        return {
            wire.payload_of(frame): (load, number)
            for load in loads
            for number, frame in enumerate(load.frames)
        }
    return {
        str(ball): (load, number)
        for session, load in zip(speakers, loads, strict=True)
        for number, (_, ball) in enumerate(session.presses)
    }


def _deliveries(
    pushes: list[tuple[float, bytes]], sent: dict[bytes | str, Sent], begin: float, end: float, echo: bool
) -> tuple[int, list[float]]:
    """How many publications reached a listener within the window, and how long after the press each came."""
    count = 0
    latencies: list[float] = []
    pressed: dict[bytes, list[Sent]] = {}  # every line comes to many: looked at once
    for now, line in pushes:
        if not begin < now <= end:
            continue
        causes = pressed.get(line)
        if causes is None:
            pressed[line] = causes = _causes(line, sent, echo)
        if causes:
            count += 1
            latencies += [now - load.sent_at[number] for load, number in causes]
    return count, latencies


def _causes(line: bytes, sent: dict[bytes | str, Sent], echo: bool) -> list[Sent]:
    if echo:
        return [sent[line]] if line in sent else []
    body = decode_push(line).push
    if body.pub is None or not body.channel.startswith("forest:"):
        return []
    return [sent[ball.id] for ball in body.pub.data.balls if ball.id in sent]
