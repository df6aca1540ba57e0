"""What each group is decided by: editions on real databases, in one process and in two."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.check import audit
from engine.clock import Clock
from engine.core.canary import is_chosen
from engine.core.commands import AddSource, FundProgramme, GrantStock, LinkSource, OpenAccount, RedeemOffer
from engine.core.editions import LookAtEditions
from engine.core.rules import RuleBook
from engine.core.units import DAY_MS, local_day
from engine.demo.people import new_key
from engine.explain import explain_ball, in_words
from engine.in_force import LEAD_MS
from engine.main import Engine, EngineBusy, open_engine
from engine.publishing import Publisher, current, history
from engine.reported import Reported, command_of
from engine.rulebook import RulebookError, shipped_rules
from engine.rulefiles.packing import book_of, packed
from engine.settings import Settings

SHIPPED = packed(shipped_rules())
WALKING = "behaviours/green-travel/walking.yaml"
SOURCE = "band"
OFFER = "saxaul-alxa"
SHIFTED: dict[str, Clock] = {}
STEPS = 20_000  # worth more than the cap of a day


BOOK = book_of(SHIPPED)
FULL_G = BOOK.behaviours["walking"].on(local_day(Clock().now_ms(), "UTC")).caps.day_g
FULL_PRICE = BOOK.programmes[OFFER].energy_g(local_day(Clock().now_ms(), "UTC"))


def with_cap(grams: int, on: Any = None) -> dict[str, str]:
    """The shipped rulebook with another cap on a day's walking, from a day on (today, UTC)."""
    day = on or local_day(Clock().now_ms(), "UTC")
    line = (
        f"    {day}: {{value: {grams}, confidence: assumed, references: [saxaul-notes], because: A trial.}}\n"
    )
    return SHIPPED | {WALKING: SHIPPED[WALKING].replace("  day_g:\n", f"  day_g:\n{line}")}


def with_price(grams: int) -> dict[str, str]:
    """The shipped rulebook with another price in energy for the trees of one species."""
    day = local_day(Clock().now_ms(), "UTC")
    name = f"species/{BOOK.programmes[OFFER].species}.yaml"
    value = f"{{value: {grams}, confidence: assumed, references: [saxaul-notes], because: A trial.}}"
    return SHIPPED | {name: SHIPPED[name].replace("energy_g:\n", f"energy_g:\n  {day}: {value}\n")}


class Game:
    """One engine, with a source that reports for its users."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.acts = 0

    async def do(self, command: Any) -> dict[str, Any]:
        outcome = await self.engine.writer.submit(command)
        if outcome.error is not None:
            raise outcome.error
        return msgspec.json.decode(outcome.data or b"{}")

    async def open(self, count: int = 1) -> list[int]:
        users = [int((await self.do(OpenAccount(None, None, f"u{n}", "UTC")))["user"]) for n in range(count)]
        for user in users:
            await self.do(LinkSource(None, user, SOURCE, f"s{user}", ("walking",)))
        return users

    async def walk(self, user: int, steps: int = STEPS, name: str | None = None, revision: int = 1) -> Any:
        """Today's steps of a user: (grams, the hash that the activity's trace keeps)."""
        self.acts += 1
        name = name or f"w{user}-{self.acts}-{id(self)}"
        on = local_day(self.engine.clock.now_ms(), "UTC")
        wire = Reported(name, f"s{user}", "walking", Decimal(steps), "step", on=on, revision=revision)
        reply = await self.do(command_of(SOURCE, wire))
        async with self.engine.db.snapshot() as view:
            [(trace,)] = await view.fetch("SELECT trace FROM activities WHERE activity = ?", name)
        return reply["energy_g"], msgspec.json.decode(trace)["rules"], int(reply.get("ball", 0))

    async def publish(self, files: dict[str, str], **fields: Any) -> dict[str, Any]:
        """Proposed by one, approved by another; it counts when this returns."""
        told = reply(await self.engine.publisher.propose(None, files, "lin", "a trial", **fields))
        told = reply(await self.engine.publisher.approve(None, told["edition"], "ana"))
        self.wait()
        await self.do(LookAtEditions())  # reads know what the last group knew
        return told

    def wait(self) -> None:
        """Time passes until everybody knows."""
        self.engine.clock.shift_ms += LEAD_MS if self.engine.db.is_shared else 2

    async def sound(self) -> None:
        found = await audit(self.engine.db, self.engine.rules)
        assert not found.problems, found.examples


def reply(outcome: Any) -> dict[str, Any]:
    if outcome.error is not None:
        raise outcome.error
    return msgspec.json.decode(outcome.data)


@asynccontextmanager
async def game(url: str, **fields: Any) -> AsyncIterator[Game]:
    """Time goes on where the last engine on that database left it."""
    clock = SHIFTED.setdefault(url, Clock())
    async with open_engine(Settings(_env_file=None, database_url=url, **fields), clock) as engine:
        made = Game(engine)
        async with engine.db.snapshot() as view:
            known = await view.fetch("SELECT 1 FROM sources")
        if not known:
            await made.do(AddSource(None, SOURCE, "Band", "whsec_c2VjcmV0", ("walking",)))
        yield made


# --- one process ------------------------------------------------------------------------------------


async def test_the_folder_is_the_first_edition_and_stays_it(database_url: str) -> None:
    for _ in range(2):
        async with game(database_url) as made:
            async with made.engine.db.snapshot() as view:
                [only] = await history(view, made.engine.clock.now_ms())
            assert (only["edition"], only["origin"], only["rulebook"]) == (
                1,
                "folder",
                made.engine.rules.hash,
            )


async def test_another_folder_is_another_edition_until_somebody_publishes(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "rules"
    write(folder, with_cap(200))
    async with game(database_url):
        pass
    async with game(database_url, game_rules=folder) as made:
        made.wait()
        [user] = await made.open()
        assert (await made.walk(user))[:2] == (200, book_of(with_cap(200)).hash)
        await made.publish(with_cap(150), overrides={"edited_in_place": "a test"})
        assert (await made.walk((await made.open())[0]))[0] == 150
        await made.sound()
    caplog.clear()
    async with game(database_url, game_rules=folder) as made:
        assert made.engine.rules.hash == book_of(with_cap(150)).hash
    assert any("edition 3" in record.getMessage() for record in caplog.records)
    (folder / WALKING).write_text("broken: [")
    async with game(database_url, game_rules=folder) as made:
        assert made.engine.rules.hash == book_of(with_cap(150)).hash


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


async def test_a_broken_folder_stops_a_first_start_as_before(sqlite_url: str, tmp_path: Path) -> None:
    write(tmp_path / "rules", SHIPPED | {WALKING: "broken: ["})
    with pytest.raises(RulebookError):
        async with game(sqlite_url, game_rules=tmp_path / "rules"):
            pass


async def test_a_published_rulebook_counts_from_its_instant_and_earlier_balls_keep_theirs(
    database_url: str,
) -> None:
    async with game(database_url) as made:
        before, after = await made.open(2)
        grams, first, ball = await made.walk(before)
        assert grams == FULL_G
        told = await made.publish(with_cap(200))
        grams, second, later = await made.walk(after)
        assert (grams, second) == (200, told["rulebook"]) and first != second
        now = made.engine.clock.now_ms()
        for one, grams, edition in ((ball, FULL_G, 1), (later, 200, 2)):
            document = await explain_ball(made.engine.db, made.engine.rules, one, now=now)
            assert document is not None and document["edition"]["edition"] == edition
            assert document["activity"]["energy_g"] == document["calculation"]["granted"]["energy_g"] == grams
            assert f"It was edition {edition}, in force for all users" in "\n".join(in_words(document))
        await made.sound()


async def test_a_ball_that_still_grows_is_revised_by_the_rulebook_that_made_it(database_url: str) -> None:
    """The second report of the day comes after a lower cap: the earlier ball may still grow to the earlier cap."""
    async with game(database_url) as made:
        [user] = await made.open()
        grams, first, _ = await made.walk(user, 5_000, "day", 1)
        await made.publish(with_cap(50))
        assert (await made.walk(user, STEPS, "day", 2))[:2] == (FULL_G, first)
        assert grams < FULL_G
        await made.sound()
    async with game(database_url) as made:  # also after a restart
        assert (await made.walk(user, STEPS - 1, "day", 3))[:2] == (FULL_G, first)
        await made.sound()


async def test_references_that_are_gone_are_still_told(database_url: str) -> None:
    """An earlier ball is explained with names and references of its own rulebook."""
    renamed = {name: text.replace("player-wanbiao", "player-renamed") for name, text in with_cap(200).items()}
    async with game(database_url) as made:
        [user] = await made.open()
        _, _, ball = await made.walk(user)
        await made.publish(renamed)
        document = await explain_ball(made.engine.db, made.engine.rules, ball, now=made.engine.clock.now_ms())
        assert document is not None
        words = "\n".join(document["words"])
        assert "[player-wanbiao]" in words and "a reference of an earlier rulebook" not in words


async def test_a_rollback_is_one_command(database_url: str) -> None:
    async with game(database_url) as made:
        first, second = await made.open(2)
        await made.publish(with_cap(200))
        assert (await made.walk(first))[0] == 200
        told = reply(await made.engine.publisher.roll_back(None, "lin", "complaints"))
        made.wait()
        assert told["same_as"] == 1
        assert (await made.walk(second))[0] == FULL_G
        async with made.engine.db.snapshot() as view:
            newest = (await history(view, made.engine.clock.now_ms()))[0]
        assert (newest["origin"], newest["why"], newest["approved_by"]) == ("rollback", "complaints", "lin")
        await made.sound()


async def test_a_canary_has_its_users_and_no_others(database_url: str) -> None:
    async with game(database_url) as made:
        users = await made.open(12)
        told = await made.publish(with_cap(200), share=4_000)
        chosen = {user for user in users if is_chosen(told["salt"], 4_000, user)}
        for user in users:
            grams, rules_hash, _ = await made.walk(user)
            assert (grams == 200) == (user in chosen)
            assert (rules_hash == told["rulebook"]) == (user in chosen)
        assert 0 < len(chosen) < len(users)
        reply(await made.engine.publisher.withdraw(None, told["edition"], "lin", "over"))
        made.wait()
        later = await made.open(4)
        assert {(await made.walk(user))[0] for user in later} == {FULL_G}
        await made.sound()


async def test_a_canary_prices_offers_for_its_users_as_they_are_told(database_url: str) -> None:
    async with game(database_url) as made:
        engine = made.engine
        await made.do(FundProgramme(None, OFFER, "Fund", "CNY", 738, 73_800))
        await made.do(GrantStock(None, OFFER, 50))
        users = await made.open(8)
        told = await made.publish(with_price(1_234), share=5_000)
        prices = {
            user: engine.in_force.of(user, engine.clock.now_ms()).programmes[OFFER].energy_g(today())
            for user in users
        }
        assert {prices[u] == 1_234 for u in users if is_chosen(told["salt"], 5_000, u)} == {True}
        assert set(prices.values()) == {1_234, FULL_PRICE}
        for user in users:
            outcome = await engine.writer.submit(RedeemOffer(key(engine), user, OFFER))
            assert outcome.error is not None and outcome.error.fields["price_g"] == prices[user]


def today() -> Any:
    return local_day(Clock().now_ms(), "UTC")


def key(engine: Engine) -> str:
    import random

    return new_key(random.Random(), engine.clock.now_ms())


async def test_refusals_leave_what_is_in_force(database_url: str) -> None:
    from engine.core.errors import Rejected

    async with game(database_url) as made:
        publisher, before = made.engine.publisher, made.engine.rules
        with pytest.raises(Rejected) as refusal:
            await publisher.propose(None, SHIPPED | {WALKING: "broken: ["}, "lin", "w")
        assert (
            refusal.value.code == "rulebook_broken" and refusal.value.fields["problems"][0]["file"] == WALKING
        )
        edited = SHIPPED | {WALKING: SHIPPED[WALKING].replace("296/18040", "300/18040")}
        edited[WALKING] = edited[WALKING].split("examples:")[0] + (
            "examples:\n  - {name: one, on: 2026-11-22, quantity: 0, energy_g: 0, avoided_mg: 0}\n"
        )
        outcome = await publisher.propose(None, edited, "lin", "w")
        assert outcome.error is not None and outcome.error.code == "edited_in_place"
        [finding] = outcome.error.fields["edited"]
        assert finding.startswith(f"{WALKING}:energy.grams_per_unit.2016-01-01.value: was '296/18040'")
        assert made.engine.rules is before
        async with made.engine.db.snapshot() as view:
            assert await view.fetch("SELECT count(*) FROM rulebooks") == [(1,)]
        await made.sound()


async def test_nobody_who_reads_waits_for_a_rulebook_that_is_being_loaded(database_url: str) -> None:
    """Approved from a command line beside the engine, which then has to read the files: what counted goes on."""
    async with game(database_url) as made:
        engine = made.engine
        before = engine.rules
        beside = Publisher(
            engine.db, engine.writer.submit_all, engine.clock.now_ms
        )  # keeps nothing for the engine
        told = reply(await beside.propose(None, with_cap(200), "lin", "w", share=500))
        reply(await beside.approve(None, told["edition"], "ana"))
        made.wait()
        looks = asyncio.create_task(made.do(LookAtEditions()))
        read = 0
        while not looks.done():
            assert engine.rules is before and engine.in_force.of(7, engine.clock.now_ms())
            read += 1
            await asyncio.sleep(0.001)
        await looks
        assert (
            read > 10
        )  # where readers waited it would be one or two: the files take a quarter of a second to read
        canary = engine.in_force.at(engine.clock.now_ms()).canary
        assert canary is not None and canary.edition == told["edition"]


async def test_the_forecast_is_held_against_what_commitments_hold(database_url: str) -> None:
    """A real forecast, if a simple one: each user plants a tree of every open programme."""
    async with game(database_url) as made:

        def forecast(rules: RuleBook, accounts: int, start: date) -> dict[str, int]:
            costs: dict[str, int] = {}
            for programme in rules.programmes.values():
                price = programme.unit_price_minor(today()) or 0
                costs[programme.currency] = costs.get(programme.currency, 0) + 10 * price
            return costs

        engine = made.engine
        publisher = Publisher(engine.db, engine.writer.submit_all, engine.clock.now_ms, forecast)
        outcome = await publisher.propose(None, with_cap(200), "lin", "w")
        assert outcome.error is not None and outcome.error.code == "over_budget"
        lacking = outcome.error.fields["lacking"]["CNY"]
        assert lacking == {"cost_minor": forecast(engine.rules, 0, today())["CNY"], "funded_minor": 0}
        await made.do(FundProgramme(None, OFFER, "Fund", "CNY", 738, lacking["cost_minor"]))
        assert reply(await publisher.propose(None, with_cap(200), "lin", "w"))["state"] == "proposed"


async def test_a_key_is_bound_to_what_was_asked_not_to_what_was_seen(database_url: str) -> None:
    async with game(database_url) as made:
        publisher = made.engine.publisher
        first, second = key(made.engine), key(made.engine)
        told = reply(await publisher.propose(first, with_cap(200), "lin", "w"))
        approved = reply(await publisher.approve(second, told["edition"], "ana"))
        made.wait()
        again = await publisher.approve(second, told["edition"], "ana")
        assert again.replayed and msgspec.json.decode(again.data) == approved
        assert (await publisher.propose(first, with_cap(200), "lin", "w")).replayed
        other = await publisher.propose(first, with_cap(200), "lin", "another reason")
        assert other.error is not None and other.error.code == "key_reused"


async def test_a_stored_rulebook_that_no_longer_loads_is_refused_at_approval(sqlite_url: str) -> None:
    from engine.core.errors import Rejected

    async with game(sqlite_url) as made:
        number = reply(await made.engine.publisher.propose(None, with_cap(200), "lin", "w"))["edition"]
        with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as raw:
            raw.execute(
                "UPDATE rulebooks SET files = replace(files, 'ripens: morning', 'ripens: never')"
                " WHERE hash = (SELECT hash FROM editions WHERE number = ?)",
                (number,),
            )
        raw.close()
        with pytest.raises(Rejected) as refusal:
            await made.engine.publisher.approve(None, number, "ana")
        assert refusal.value.code == "rulebook_broken"
        [user] = await made.open()
        assert (await made.walk(user))[0] == FULL_G


async def test_an_engine_does_not_start_on_a_rulebook_that_it_can_not_read(sqlite_url: str) -> None:
    async with game(sqlite_url) as made:
        await made.publish(with_cap(200))
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as raw:
        raw.execute("UPDATE rulebooks SET files = replace(files, 'ripens: morning', 'ripens: never')")
    raw.close()
    with pytest.raises(RulebookError, match="rules rollback"):
        async with game(sqlite_url):
            pass
    with pytest.raises(RulebookError):  # and lets go of the lock
        async with game(sqlite_url):
            pass


# --- strictness: what is decided at or after an edition's instant is decided by it --------------------


async def test_no_group_after_the_instant_is_decided_by_the_old_one_under_load(sqlite_url: str) -> None:
    """Reports stream in while editions come and go; the audit holds every trace against the editions."""
    async with game(sqlite_url) as made:
        users = await made.open(40)
        stop = asyncio.Event()

        async def stream(user: int) -> None:
            on = local_day(made.engine.clock.now_ms(), "UTC")
            number = 0
            while not stop.is_set():
                number += 1
                wire = Reported(
                    f"u{user}-{number}", f"s{user}", "walking", Decimal(10), "step", on=on, revision=1
                )
                await made.engine.writer.submit(command_of(SOURCE, wire))

        async with asyncio.TaskGroup() as group:
            for user in users:
                group.create_task(stream(user))
            for grams in (200, 150, 100):
                told = reply(
                    await made.engine.publisher.propose(
                        None, with_cap(grams), "lin", "w", overrides={"edited_in_place": "a test"}
                    )
                )
                reply(await made.engine.publisher.approve(None, told["edition"], "ana"))
                await asyncio.sleep(0.2)
            reply(await made.engine.publisher.roll_back(None, "lin", "w"))
            await asyncio.sleep(0.2)
            stop.set()
        async with made.engine.db.snapshot() as view:
            rows = await view.fetch("SELECT trace FROM activities")
        used = {msgspec.json.decode(trace)["rules"] for (trace,) in rows}
        assert len(used) == 4
        await made.sound()


@asynccontextmanager
async def two_games(url: str) -> AsyncIterator[tuple[Game, Game, Callable[[int], None]]]:
    """Two engines on one database, whose clocks are moved together."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(game(url))
        other = await stack.enter_async_context(game(url))

        def wait(ms: int) -> None:
            one.engine.clock.shift_ms += ms  # both have the same clock

        yield one, other, wait


async def test_two_engines_agree_although_one_only_hears_from_the_database(postgres_url: str) -> None:
    """Nothing polls here: the other engine must ask by itself before it decides past what it knows."""
    async with two_games(postgres_url) as (one, other, wait):
        users = await one.open(6)
        assert (await other.walk(users[0]))[0] == FULL_G
        told = reply(await one.engine.publisher.propose(None, with_cap(200), "lin", "w"))
        reply(await one.engine.publisher.approve(None, told["edition"], "ana"))
        assert (await other.walk(users[1]))[0] == (await one.walk(users[2]))[0] == FULL_G
        wait(LEAD_MS)
        assert (await other.walk(users[3]))[0] == (await one.walk(users[4]))[0] == 200
        reply(await other.engine.publisher.roll_back(None, "lin", "w"))
        wait(LEAD_MS)
        assert (await one.walk(users[5]))[0] == FULL_G
        await one.sound()


async def test_a_node_that_can_not_read_what_is_in_force_decides_nothing(postgres_url: str) -> None:
    """As a node of an older version would be: it refuses, and does not go on by the rulebook before."""
    from engine.core.errors import Rejected

    async with two_games(postgres_url) as (one, other, wait):
        users = await one.open(2)
        told = reply(await one.engine.publisher.propose(None, with_cap(200), "lin", "w"))
        reply(await one.engine.publisher.approve(None, told["edition"], "ana"))
        connection = await asyncpg.connect(postgres_url)
        broken = (
            "UPDATE rulebooks SET files = replace(files, 'ripens: morning', 'ripens: never') WHERE hash = $1"
        )
        assert await connection.execute(broken, told["rulebook"]) == "UPDATE 1"
        await connection.close()
        assert (await other.walk(users[0]))[0] == FULL_G
        wait(LEAD_MS)
        with pytest.raises(Rejected) as refusal:
            await other.walk(users[1])
        assert refusal.value.code == "unavailable"
        assert told["rulebook"] in other.engine.in_force.unreadable
        with pytest.raises(Rejected):
            _ = other.engine.rules
        assert (await one.walk(users[1]))[0] == 200  # it has read it in time
        reply(await one.engine.publisher.roll_back(None, "lin", "w"))
        wait(LEAD_MS)
        [user] = await one.open()
        assert (await other.walk(user))[0] == FULL_G


STEPS_OF_TWO = st.lists(
    st.tuples(
        st.sampled_from(("publish", "canary", "withdraw", "rollback", "walk", "walk", "wait", "wait")),
        st.booleans(),
        st.integers(1, 2 * LEAD_MS),
    ),
    min_size=8,
    max_size=16,
)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS_OF_TWO)
def test_whatever_two_engines_do_every_trace_is_of_its_edition(postgres: Any, steps: list[Any]) -> None:
    """The law of the audit, on random courses: publish here, walk there, with clocks anywhere around the instants."""

    async def course(url: str) -> None:
        async with two_games(url) as (one, other, wait):
            users = await one.open(3)
            for number, (what, is_other, ms) in enumerate(steps):
                made = other if is_other else one
                publisher = made.engine.publisher
                if what == "wait":
                    wait(ms)
                elif what == "walk":
                    await made.walk(users[ms % 3], 100)
                else:
                    await act(publisher, what, number)
            await one.sound()

    async def act(publisher: Publisher, what: str, number: int) -> None:
        from engine.core.errors import Rejected

        try:
            if what == "rollback":
                await publisher.roll_back(None, "lin", "w")
            elif what == "withdraw":
                await publisher.withdraw(None, await publisher.running_canary(), "lin", "w")
            else:
                files, share = with_cap(100 + number), 5_000 if what == "canary" else 10_000
                told = await publisher.propose(
                    None, files, "lin", "w", share, overrides={"edited_in_place": "a test"}
                )
                if told.error is None:
                    await publisher.approve(None, reply(told)["edition"], "ana")
        except Rejected:
            pass

    async def whole() -> None:
        url = await postgres.create_database()
        try:
            await course(url)
        finally:
            await postgres.drop_database(url)

    asyncio.run(whole())


async def test_two_real_servers_agree(postgres_url: str, start_server: Any) -> None:
    """Two processes on one PostgreSQL: published at one, in force at both from the same instant, no restart."""
    keys = {"server_key": "s" * 64, "operator_key": "o" * 64, "token_secret": "t" * 64}
    one = await start_server(database_url=postgres_url, **keys)
    other = await start_server(database_url=postgres_url, **keys)
    body = {"files": with_cap(200), "by": "lin", "why": "a trial"}
    told = await call(one, "POST", "/v1/rules/editions", body, 201)
    path = f"/v1/rules/editions/{told['edition']}/approve"
    told = await call(other, "POST", path, {"by": "ana"})
    async with asyncio.timeout(LEAD_MS / 1000 + 10):
        for server in (one, other):
            while (await call(server, "GET", "/readyz"))["edition"] != told["edition"]:
                await asyncio.sleep(0.1)
    for server in (one, other):
        ready = await call(server, "GET", "/readyz")
        assert (ready["rulebook"], ready["edition"]) == (told["rulebook"], told["edition"])
        text = (await server.call("GET", "/metrics", bearer="o" * 64)).text
        assert f'rules="{told["rulebook"]}"' in text and f"saxaul_edition {told['edition']}.0" in text
    async with game(postgres_url) as made:
        [user] = await made.open()
        assert (await made.walk(user))[0] == 200
        async with made.engine.db.snapshot() as view:
            stand = await current(view, made.engine.clock.now_ms())
        assert stand["in_force"]["edition"] == told["edition"]
        await made.sound()


async def call(server: Any, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    response = await server.call(method, path, body, bearer="o" * 64)
    assert response.status_code == status, response.text
    return response.json()


async def test_a_sole_database_has_one_engine(sqlite_url: str) -> None:
    async with game(sqlite_url):
        with pytest.raises(EngineBusy):
            async with game(sqlite_url):
                pass


async def test_deciding_asks_two_comparisons_of_what_is_in_force(sqlite_url: str) -> None:
    """While nothing changes, `at` gives the same answer without looking again, with and without a canary."""
    async with game(sqlite_url) as made:
        in_force, now = made.engine.in_force, made.engine.clock.now_ms()
        assert in_force.at(now) is in_force.at(now + DAY_MS)
        assert in_force.knows(now + 1_000 * DAY_MS)
        await made.publish(with_cap(200), share=100)
        await made.open()
        now = made.engine.clock.now_ms()
        assert in_force.at(now).canary is not None and in_force.at(now) is in_force.at(now + DAY_MS)
