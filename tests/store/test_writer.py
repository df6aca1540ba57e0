"""The one write path: keys, groups, faults inside a group, overload, and two processes on one PostgreSQL."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from engine.core import commands as c
from engine.core.game import RULES, Rule
from engine.in_force import FixedRules
from engine.publication import Publication, Revocation
from engine.writer import Overloaded, Writer
from tests.core.world import BEHAVIOURS, SOURCE, key, rulebook
from tests.store.parts import Bench, Heard, bench


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


async def users(game: Bench, count: int) -> list[int]:
    commands: list[Any] = [c.OpenAccount(None, None, f"User {n}", "UTC") for n in range(count)]
    if not await game.rows("sources", "id"):
        commands.append(c.AddSource(None, SOURCE, "City", "whsec_test", BEHAVIOURS))
    outcomes = await game.writer.submit_all(commands)
    found = [int(json.loads(outcome.data or b"")["user"]) for outcome in outcomes[:count]]
    await game.writer.submit_all([c.LinkSource(None, user, SOURCE, str(user), BEHAVIOURS) for user in found])
    return found


async def test_a_key_gives_one_effect_and_the_same_answer(url: str) -> None:
    async with bench(url) as game:
        one, other, third = await users(game, 3)
        ask = c.RequestFriend(key(1), one, other)
        first = await game.writer.submit(ask)
        again = await game.writer.submit(ask)
        in_one_group = await game.writer.submit_all([c.RequestFriend(key(2), one, third)] * 3)
        assert (again.data, again.replayed, first.replayed) == (first.data, True, False)
        assert [outcome.replayed for outcome in in_one_group] == [False, True, True]
        assert len({outcome.data for outcome in in_one_group}) == 1


@pytest.mark.parametrize("together", [True, False])
async def test_a_bound_key_is_refused_to_others_and_for_other_content(url: str, together: bool) -> None:
    async with bench(url) as game:
        one, other, third = await users(game, 3)
        commands = [
            c.RequestFriend(key(1), one, other),
            c.RequestFriend(key(1), one, third),
            c.RequestFriend(key(1), third, other),
            c.RemoveFriend(key(1), one, other),
        ]
        if together:
            outcomes = await game.writer.submit_all(commands)
        else:
            outcomes = [await game.writer.submit(command) for command in commands]
        codes = [outcome.error.code if outcome.error else None for outcome in outcomes]
        assert codes == [None, "key_reused", "key_reused", "key_reused"]


async def test_a_refusal_binds_nothing(url: str) -> None:
    async with bench(url) as game:
        one, other = await users(game, 2)
        answer = c.AnswerFriend(key(1), other, one)
        assert (await game.writer.submit(answer)).error.code == "not_asked"  # type: ignore[union-attr]
        await game.writer.submit(c.RequestFriend(key(2), one, other))
        assert (await game.writer.submit(answer)).error is None


async def test_a_fault_in_one_command_leaves_the_rest_of_its_group_alone(url: str) -> None:
    def explode(state: Any, command: Any, context: Any) -> Any:
        raise ZeroDivisionError

    async with bench(url) as game:
        one, other, third = await users(game, 3)
        broken: dict[type, Rule] = {**RULES}
        broken[c.BlockUser] = replace_rule(RULES[c.BlockUser], explode)
        game.writer._decider.rules = broken
        before = len(game.heard.items)
        outcomes = await game.writer.submit_all(
            [
                c.RequestFriend(key(1), one, other),
                c.BlockUser(key(2), one, third),
                c.RequestFriend(key(3), third, other),
            ]
        )
        assert [outcome.error.code if outcome.error else None for outcome in outcomes] == [
            None,
            "internal",
            None,
        ]
        told = [item.channel for item in game.heard.items[before:] if isinstance(item, Publication)]
        assert sorted(told) == sorted(f"user:{user}" for user in (one, other, third, other))


def replace_rule(rule: Rule, decide: Any) -> Rule:
    return rule._replace(decide=decide)


async def test_offsets_are_contiguous_from_one(url: str) -> None:
    async with bench(url) as game:
        one, *others = await users(game, 6)
        await game.writer.submit_all([c.RequestFriend(key(n), one, other) for n, other in enumerate(others)])
        for n, other in enumerate(others):
            await game.writer.submit(c.AnswerFriend(key(100 + n), other, one))
        offsets: dict[str, list[int]] = {}
        for item in game.heard.items:
            if isinstance(item, Publication):
                offsets.setdefault(item.channel, []).append(item.offset)
        assert offsets[f"user:{one}"] == [1, 2, 3, 4, 5, 6], "one publication a group, then one a command"
        assert all(found == list(range(1, len(found) + 1)) for found in offsets.values())


async def test_publications_in_the_journal_are_those_that_were_sent(url: str) -> None:
    async with bench(url) as game:
        one, other = await users(game, 2)
        await game.writer.submit(c.RequestFriend(key(1), one, other))
        await game.writer.submit(c.AnswerFriend(key(2), other, one))
        await game.writer.submit(c.RemoveFriend(key(3), one, other))
        kept = [tuple(pub) for row in await game.rows("journal", "id") for pub in json.loads(row[8])]
        sent: list[tuple[Any, ...]] = []
        for item in game.heard.items:
            if isinstance(item, Publication):
                sent.append((item.channel, item.offset, json.loads(item.data)))
            else:
                sent.append(("", item.user, item.channel))
        assert kept == sent
        assert any(isinstance(item, Revocation) for item in game.heard.items)


async def test_a_full_queue_refuses_at_once(url: str) -> None:
    async with bench(url) as game:
        [one] = await users(game, 1)
        small = Writer(game.db, (), FixedRules(rulebook), Heard(), game.clock, queue_commands_max=2)
        small.post(c.SuspendAccount(None, one), lambda outcome: None)
        small.post(c.SuspendAccount(None, one), lambda outcome: None)
        with pytest.raises(Overloaded):
            small.post(c.SuspendAccount(None, one), lambda outcome: None)
        assert (await small.submit(c.SuspendAccount(None, one))).error.code == "overloaded"  # type: ignore[union-attr]


async def test_stopping_finishes_what_was_queued(url: str) -> None:
    async with bench(url) as game:
        one, *others = await users(game, 20)
        waiting = asyncio.create_task(
            game.writer.submit_all([c.RequestFriend(key(n), one, other) for n, other in enumerate(others)])
        )
        await asyncio.sleep(0)
        await game.writer.stop()
        assert all(outcome.error is None for outcome in await waiting)
        assert (await game.writer.submit(c.RequestFriend(key(99), others[0], others[1]))).error is not None


async def test_two_processes_share_one_postgresql(postgres_url: str) -> None:
    """Two writers collect from the same balls with the same keys: one effect each, definite answers, exact sums."""
    async with bench(postgres_url) as one, bench(postgres_url) as two:
        owner, *friends = await users(one, 21)
        asks = [c.RequestFriend(key(n), friend, owner) for n, friend in enumerate(friends)]
        answers = [c.AnswerFriend(key(100 + n), owner, friend) for n, friend in enumerate(friends)]
        await one.writer.submit_all(asks)
        await two.writer.submit_all(answers)
        reports = [
            c.ReportActivity(
                SOURCE,
                f"ride-{n}",
                str(owner),
                "bus",
                Decimal(1),
                "ride",
                f"{n}",
                at=one.clock.now_ms() - n * 360_000,
            )
            for n in range(4)
        ]
        outcomes = await one.writer.submit_all(reports)
        balls = tuple(int(json.loads(outcome.data or b"")["ball"]) for outcome in outcomes)
        for game in (one, two):
            game.clock.shift_ms = 24 * 3600_000 + 60_000  # the youngest ball is past its head start
        presses = [c.CollectEnergy(key(200 + n), friend, owner, balls) for n, friend in enumerate(friends)]
        both = await asyncio.gather(*(game.writer.submit(press) for press in presses for game in (one, two)))
        assert all(outcome.error is None for outcome in both), "never a conflict"
        for press, first, second in zip(presses, both[::2], both[1::2], strict=True):
            results = json.loads(first.data or b"")["results"]
            if any("energy_g" in result and "error" not in result for result in results):
                assert first.data == second.data, press
        async with one.db.snapshot() as view:
            rows = await view.fetch("SELECT full_g, remaining_g, floor_g, takers FROM balls")
        for full_g, remaining_g, floor_g, takers in rows:
            taken = sum(taker[1] for taker in json.loads(takers))
            assert taken + remaining_g == full_g
            assert remaining_g >= floor_g, "the owner's floor holds"
        wallets = sum(row[7] for row in await one.rows("users", "id"))
        assert wallets == sum(row[0] - row[1] for row in rows) > 0


async def test_the_snapshot_of_a_reader_never_moves(url: str) -> None:
    async with bench(url) as game:
        [one] = await users(game, 1)
        async with game.db.snapshot() as view:
            before = await view.fetch("SELECT state FROM users WHERE id = ?", one)
            await game.writer.submit(c.SuspendAccount(None, one))
            assert await view.fetch("SELECT state FROM users WHERE id IN ?", [one]) == before
        assert [row[1] for row in await game.rows("users", "id")] == ["suspended"]


async def test_constraints_hold_when_the_code_does_not(url: str) -> None:
    """The database refuses an account below zero whatever a program does."""
    async with bench(url) as game:
        [one] = await users(game, 1)
        for sql in (
            "UPDATE users SET wallet_g = -1 WHERE id = ?",
            "UPDATE users SET debt_g = -1 WHERE id = ?",
        ):
            with pytest.raises(Exception, match=r"(?i)constraint"):
                async with game.db.write() as tx:
                    await tx.execute(sql, one)


async def test_a_row_that_comes_and_goes_in_one_group_leaves_the_group_whole(url: str) -> None:
    async with bench(url) as game:
        one, other = await users(game, 2)
        groups = game.writer.groups
        outcomes = await game.writer.submit_all(
            [
                c.RequestFriend(key(1), one, other),
                c.RequestFriend(key(2), other, one),
                c.RemoveFriend(key(3), one, other),
            ]
        )
        assert all(outcome.error is None for outcome in outcomes)
        assert game.writer.groups == groups + 1
        assert await game.rows("friends", "user_id") == []


async def test_a_fault_of_the_audience_does_not_end_the_write_path(url: str) -> None:
    def explode(*args: Any) -> None:
        raise ZeroDivisionError

    async with bench(url) as game:
        [one] = await users(game, 1)
        game.heard.publish = game.heard.flush = explode  # type: ignore[method-assign]
        for command in (c.SuspendAccount(None, one), c.ResumeAccount(None, one)):
            outcome = await asyncio.wait_for(game.writer.submit(command), 10)
            assert outcome.error is None


async def test_two_processes_give_a_withdrawn_subject_to_one_user(postgres_url: str) -> None:
    async with bench(postgres_url) as one, bench(postgres_url) as two:
        first, second, third = await users(one, 3)
        for n in range(10):
            subject = f"card-{n}"
            await one.writer.submit(c.LinkSource(None, first, SOURCE, subject, ("bus",)))
            await one.writer.submit(c.WithdrawLink(None, first, SOURCE, subject))
            outcomes = await asyncio.gather(
                one.writer.submit(c.LinkSource(None, second, SOURCE, subject, ("bus",))),
                two.writer.submit(c.LinkSource(None, third, SOURCE, subject, ("bus",))),
            )
            codes = [outcome.error.code for outcome in outcomes if outcome.error is not None]
            assert codes == ["subject_taken"]


async def test_closing_an_account_leaves_a_subject_that_another_process_gave_away(postgres_url: str) -> None:
    async with bench(postgres_url) as one, bench(postgres_url) as two:
        taker, *closing = await users(one, 11)
        for user in closing:
            await one.writer.submit(c.WithdrawLink(None, user, SOURCE, str(user)))
            outcomes = await asyncio.gather(
                one.writer.submit(c.CloseAccount(None, user)),
                two.writer.submit(c.LinkSource(None, taker, SOURCE, str(user), ("bus",))),
            )
            assert [outcome.error for outcome in outcomes] == [None, None]
        subjects = {row[1] for row in await one.rows("links", "subject") if row[2] == taker}
        assert subjects == {str(user) for user in (taker, *closing)}


async def test_readers_that_take_their_time_do_not_hold_up_the_writer(url: str) -> None:
    async with bench(url) as game:
        [user] = await users(game, 1)
        is_over = asyncio.Event()

        async def read() -> None:
            async with game.db.snapshot() as view:
                await view.fetch("SELECT count(*) FROM users")
                await is_over.wait()

        readers = [asyncio.create_task(read()) for _ in range(20)]
        await asyncio.sleep(0.2)
        try:
            outcome = await asyncio.wait_for(game.writer.submit(c.SuspendAccount(None, user)), 5)
        finally:
            is_over.set()
            await asyncio.gather(*readers)
        assert outcome.error is None
