"""What orders come to when the NGO misbehaves: real writer, relay and jobs, the simulator with faults on
demand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from partners import jobs
from partners.checks import audit
from partners.core.commands import ReviewOrder
from partners.store.tables import MODELS
from tests.partners.bench import Bench, Ngo, free_port, open_bench, simulated_ngo

TREES = 5
DAY_S = 86_400


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ngo]:
    """An NGO that drops repeats."""
    with simulated_ngo(tmp_path_factory.mktemp("native")) as ngo:
        yield ngo


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ngo]:
    """An NGO that would plant twice what it is sent twice."""
    with simulated_ngo(tmp_path_factory.mktemp("none"), "--not-idempotent") as ngo:
        yield ngo


async def facts(bench: Bench) -> tuple[str, str, int, int]:
    """Of the first order: (state, held, its trees confirmed or further, times it was sent)."""
    [(order, state, held)] = await bench.rows(
        "SELECT id, state, held FROM partner_orders ORDER BY id LIMIT 1"
    )
    [(on_the_way,)] = await bench.rows(
        "SELECT count(*) FROM tree_units WHERE order_id = ? AND state IN ?",
        order,
        ["confirmed", "planted", "verified"],
    )
    [(attempts,)] = await bench.rows("SELECT attempts FROM deliveries WHERE id = ?", f"submit:{order}")
    return state, held, on_the_way, attempts


async def play(bench: Bench, until: Any, hurry: bool = True) -> None:
    """One order, all its trees, until it has come to that; what it gives back is asked for again elsewhere."""
    await bench.trees(TREES)

    async def there() -> bool:
        rows = await bench.rows("SELECT state, held FROM partner_orders ORDER BY id LIMIT 1")
        return bool(rows) and until in rows[0]

    await bench.run_until(there, hurry=hurry)


async def no_findings(bench: Bench) -> None:
    async with bench.db.snapshot() as view:
        assert [finding async for finding in audit(view)] == []


@pytest.mark.parametrize(
    ("faults", "until", "on_the_way"),
    [
        ({}, "planted", TREES),
        ({"answer": "partial", "partial_pct": 60}, "planted", 3),
        ({"shortfall_pct": 40}, "planted", 3),
        ({"slow_s": 0.3}, "planted", TREES),
        ({"errors": 2}, "planted", TREES),
        ({"timeout": "before"}, "planted", TREES),
        ({"timeout": "after"}, "planted", TREES),
        ({"answer": "reject"}, "rejected", 0),
        ({"hidden_errors": 1}, "refused_by_partner", 0),
        ({"wrong": "species"}, "answer_differs", 0),
        ({"wrong": "trees"}, "answer_differs", 0),
        ({"wrong": "price"}, "answer_differs", 0),
        ({"wrong": "over_accept"}, "answer_differs", 0),
        ({"wrong": "over_report"}, "answer_differs", None),
        ({"wrong": "changed"}, "answer_differs", None),
        ({"wrong": "reference"}, "refused_by_partner", 0),
    ],
    ids=repr,
)
async def test_what_an_order_comes_to(
    tmp_path: Path, patient: Ngo, faults: dict[str, Any], until: str, on_the_way: int | None
) -> None:
    patient.faults(**faults)
    async with open_bench(f"sqlite:///{tmp_path}/game.db", [patient.settings()]) as bench:
        await play(bench, until)
        assert on_the_way in (None, (await facts(bench))[2])
        await no_findings(bench)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_forgetful_partner_is_sent_an_order_once(tmp_path: Path, forgetful: Ngo, when: str) -> None:
    already = len(forgetful.calls("submit"))
    forgetful.faults(timeout=when)
    settings = forgetful.settings(idempotency="none")
    async with open_bench(f"sqlite:///{tmp_path}/game.db", [settings]) as bench:
        await play(bench, "planted" if when == "after" else "unknown_at_partner", hurry=True)
        assert len(forgetful.calls("submit")) == already + 1
        await no_findings(bench)


async def test_a_forgetful_partner_that_refuses_connections_gets_the_order_later(tmp_path: Path) -> None:
    port = free_port()
    absent = Ngo(f"http://127.0.0.1:{port}", None)
    async with open_bench(f"sqlite:///{tmp_path}/game.db", [absent.settings(idempotency="none")]) as bench:
        await bench.trees(TREES)

        async def refused() -> bool:
            rows = await bench.rows("SELECT state, attempts FROM deliveries")
            return bool(rows) and rows[0][0] == "waiting" and rows[0][1] >= 2

        await bench.run_until(refused, hurry=True)
        with simulated_ngo(tmp_path, "--not-idempotent", port=port) as ngo:

            async def planted() -> bool:
                return await bench.states() == ["planted"]

            await bench.run_until(planted, hurry=True)
            assert len(ngo.calls("submit")) == 1


async def test_a_relay_that_dies_while_sending_leaves_nothing_twice(tmp_path: Path, forgetful: Ngo) -> None:
    already, taken = len(forgetful.calls("submit")), len(forgetful.orders())
    forgetful.faults(timeout="after")
    settings = forgetful.settings(idempotency="none")
    async with open_bench(f"sqlite:///{tmp_path}/game.db", [settings]) as bench:
        await bench.trees(TREES)
        await jobs.form_orders(bench.writer, bench.db)
        dying = bench.relay(name="dying")
        assert await dying.turn() == 1
        while len(forgetful.orders()) == taken:  # the partner has it, and nobody knows
            await asyncio.sleep(0.02)
        for attempt in list(dying._attempts):
            attempt.cancel()
        await asyncio.gather(*dying._attempts, return_exceptions=True)
        assert await bench.rows("SELECT state, claimed_by FROM deliveries") == [("sending", "dying")]
        other = bench.relay(name="other")
        assert await other.turn() == 0  # the lease still runs
        bench.clock.shift_ms += 61_000

        async def planted() -> bool:
            return await bench.states() == ["planted"]

        await bench.run_until(planted, hurry=True)
        assert len(forgetful.calls("submit")) == already + 1


async def test_silence_ends_and_says_so(tmp_path: Path, patient: Ngo) -> None:
    patient.faults(answer="silence")
    async with open_bench(f"sqlite:///{tmp_path}/game.db", [patient.settings(poll_s=DAY_S)]) as bench:
        await play(bench, "expired", hurry=True)
        [note] = {note for (note,) in await bench.rows("SELECT note FROM tree_units")}
        assert note == "waits_again:no_answer"
        trees = await bench.rows("SELECT state, note FROM trees")
        assert all(state == "pledged" and told.startswith(note) for state, told in trees)
        [(reminders, escalated_at)] = await bench.rows("SELECT reminders, escalated_at FROM partner_orders")
        assert reminders == 2
        assert escalated_at

        async def cancelled() -> bool:
            return await bench.rows("SELECT state FROM deliveries WHERE kind = 'cancel'") == [("done",)]

        await bench.run_until(cancelled)
        reference = patient.calls("cancel")[-1].split()[1]
        [order] = [one for one in patient.orders() if one["reference"] == reference]
        assert order["status"]["status"] == "cancelled"
        await no_findings(bench)


async def test_needs_info_reaches_the_partner_and_its_answer_comes_back(tmp_path: Path, patient: Ngo) -> None:
    patient.faults()
    async with open_bench(f"sqlite:///{tmp_path}/game.db", [patient.settings()]) as bench:
        await play(bench, "planted", hurry=False)
        [(order,)] = await bench.rows("SELECT id FROM partner_orders")
        await bench.do(ReviewOrder(None, "operator:li", order, "needs_info", note="where is the fence?"))

        async def answered() -> bool:
            return await bench.states() == ["planted"]

        await bench.run_until(answered)
        assert patient.orders()[-1]["notes"] == ["where is the fence?"]
        evidence = await bench.rows("SELECT evidence FROM batches")
        assert all(shown.count("simulated") == 0 and shown.count(",") == 1 for (shown,) in evidence)
        await bench.do(ReviewOrder(None, "operator:li", order, "verified"))


async def test_a_slow_partner_holds_up_no_other(tmp_path: Path, patient: Ngo) -> None:
    patient.faults(slow_s=0.45)
    with simulated_ngo(tmp_path) as quick:
        partners = [patient.settings(), replace(quick.settings(), partner="quick")]
        async with open_bench(f"sqlite:///{tmp_path}/game.db", partners) as bench:
            adapters = bench.registry.adapters
            relay = bench.relay()
            assert set(adapters) == {"simulator-ngo", "quick"}
            for number in range(8):
                await _deliver_to(bench, "simulator-ngo", 100 + number)
            await _deliver_to(bench, "quick", 200)
            relay.start()
            try:
                async with asyncio.timeout(3):
                    while not quick.calls("read"):
                        await asyncio.sleep(0.02)
                waiting = await bench.rows(
                    "SELECT id FROM deliveries WHERE state = 'waiting' AND order_id < 200"
                )
                assert len(waiting) >= 4
            finally:
                await relay.stop()


async def test_a_relay_ends_whenever_it_is_told_to(tmp_path: Path, patient: Ngo) -> None:
    """Also in the instant in which something is due, and then it delivers what it has claimed."""
    async with open_bench(f"sqlite:///{tmp_path}/game.db", [patient.settings()]) as bench:
        for number in range(12):
            relay = bench.relay(poll_s=60.0)
            relay.start()
            await asyncio.sleep(0.001 * number)
            await _deliver_to(bench, "simulator-ngo", 300 + number)
            relay.wake()
            await asyncio.sleep(0.0005 * number)
            async with asyncio.timeout(5):
                await relay.stop()
            assert await bench.rows("SELECT id FROM deliveries WHERE state IN ('sending', 'reading')") == []


async def _deliver_to(bench: Bench, partner: str, order: int) -> None:
    """An order that only has a read to be delivered."""
    async with bench.db.write() as tx:
        for table, values in (
            (
                "partner_orders",
                {"id": order, "partner": partner, "state": "submitted", "lines": "[]", "agreement": ""},
            ),
            (
                "deliveries",
                {
                    "id": f"read:{order}",
                    "destination": partner,
                    "kind": "read",
                    "order_id": order,
                    "state": "waiting",
                },
            ),
        ):
            columns = MODELS[table].__table__.columns  # type: ignore[attr-defined]
            usual = {
                column.name: None if column.nullable else ("{}" if column.info.get("json") else 0)
                for column in columns
            }
            row = usual | values
            if table == "deliveries":
                row |= {"next_at": 1, "resendable": True, "claimed_by": "", "answer": "", "created_at": 1}
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            await tx.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", *row.values())
