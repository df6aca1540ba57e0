"""Collects (or echoes of the same frames) at full load: rate, latency, CPU, and how soon watchers know."""

import asyncio
import os
import signal
from time import perf_counter

from loadtest.connection import Connection, Load
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
from loadtest.jobs.plans import CollectPlan
from loadtest.measure import CpuWindow

DRAIN_S = 5.0
POLL_S = 0.02
Entry = tuple[float, float, bytes]


async def run(plan: CollectPlan) -> dict[str, object]:
    """Figures of one round."""
    log: list[Entry] = []
    own_pushes: list[tuple[float, bytes]] = []
    watched: list[tuple[float, bytes]] = []
    watchers = await open_sessions(plan.server, plan.watchers, watched)
    connections = await open_sessions(plan.server, plan.sessions, own_pushes)
    loads = [Load(frames, plan.outstanding, log, plan.again) for frames in collect_frames(plan.sessions)]
    with no_collector():
        started = perf_counter()
        for connection, load in zip(connections, loads, strict=True):
            connection.start(load)
        await _sleep_until(started + plan.warm_up_s, loads, connections)
        cpu_window = CpuWindow.start(plan.server.pids)
        _mark(plan, signal.SIGUSR1)
        begin = perf_counter()
        await _sleep_until(begin + plan.measure_s, loads, connections)
        end = min([perf_counter(), *(load.ran_out_at for load in loads if load.ran_out_at is not None)])
        cpu = cpu_window.stop()
        _mark(plan, signal.SIGUSR2)
        if end <= begin:  # all done while still warming up
            begin = started
        await _drain(loads, log)
    closed = reasons([*connections, *watchers])
    await close_all([*connections, *watchers])
    echo = plan.server.speaks == "echo"
    figures = _figures(log, begin, end, echo)
    window_s = max(1e-9, end - begin)
    # CPU is read when the window is over; a list of presses that ran out meanwhile makes it longer than the window
    measured = max(1, sum(begin < now for now, _, _ in log))
    figures.update(
        cpu_us={name: seconds / measured * 1e6 for name, seconds in cpu.items() if name != "foreign"},
        foreign_cores=cpu["foreign"] / window_s,
        seconds=window_s,
        ran_out=any(load.ran_out_at is not None for load in loads),
        unanswered=sum(load.sent for load in loads) - len(log),
        used=[load.sent for load in loads],
        closed=closed,
        own_pushes=len(own_pushes),
        watcher_pushes=len(watched),
    )
    if not echo:
        figures["push"] = _push_latency(plan, log, watched, begin, end)
    return figures


def _mark(plan: CollectPlan, number: int) -> None:
    if plan.mark:
        for pid in plan.server.pids["server"]:
            os.kill(pid, number)


async def _sleep_until(when: float, loads: list[Load], connections: list[Connection]) -> None:
    while (left := when - perf_counter()) > 0:
        if any(load.ran_out_at is not None for load in loads):
            return
        if all(connection.closed_because is not None for connection in connections):
            return
        await asyncio.sleep(min(POLL_S, left))


async def _drain(loads: list[Load], log: list[Entry]) -> None:
    for load in loads:
        load.stopped = True
    give_up = perf_counter() + DRAIN_S
    while sum(load.sent for load in loads) > len(log) and perf_counter() < give_up:
        await asyncio.sleep(POLL_S)
    await asyncio.sleep(0.3)  # the last pushes


def _figures(log: list[Entry], begin: float, end: float, echo: bool) -> dict[str, object]:
    inside = [entry for entry in log if begin < entry[0] <= end]
    outcomes = ["collected" if echo else outcome_of(line)[0] for _, _, line in inside]
    collected = outcomes.count("collected")
    return {
        "per_s": collected / max(1e-9, end - begin),
        "answers_per_s": len(inside) / max(1e-9, end - begin),
        "outcomes": codes(outcomes),
        "first_outcomes": {} if echo else codes(outcome_of(line)[0] for _, _, line in log),
        **latency_ms(latency for _, latency, _ in inside),
    }


def _push_latency(
    plan: CollectPlan, log: list[Entry], watched: list[tuple[float, bytes]], begin: float, end: float
) -> dict[str, object]:
    """From the collector's reply to a watcher's push (negative: the watcher was first), and from press to push."""
    watched_forests = {channel for session in plan.watchers for channel in session.channels}
    owners = {str(ball): f"forest:{owner}" for session in plan.sessions for owner, ball in session.presses}
    replies: dict[str, tuple[float, float]] = {}
    twice: set[str] = set()
    for now, latency, line in log:
        outcome, reply = outcome_of(line)
        if outcome != "collected" or reply.rpc is None:
            continue
        ball = reply.rpc.data.results[0].ball
        if ball in replies:
            twice.add(ball)
        replies[ball] = (now, latency)
    after_reply: list[float] = []
    after_press: list[float] = []
    seen: set[str] = set()
    publications = 0
    for now, line in watched:
        body = decode_push(line).push
        if body.pub is None or body.channel not in watched_forests:
            continue
        publications += 1
        for ball in body.pub.data.balls:
            if ball.id not in replies or ball.id in twice:
                continue
            seen.add(ball.id)
            replied_at, latency = replies[ball.id]
            if begin < replied_at <= end:
                after_reply.append(now - replied_at)
                after_press.append(now - replied_at + latency)
    expected = {ball for ball in replies if ball not in twice and owners[ball] in watched_forests}
    return {
        "after_reply": latency_ms(after_reply),
        "after_press": latency_ms(after_press),
        "publications": publications,
        "expected": len(expected),
        "missing": len(expected - seen),
    }
