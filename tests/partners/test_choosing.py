"""A tree without a place, through the real writer on both stores: its user is told, chooses, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from engine.check import audit
from engine.core import commands as game
from engine.core.errors import Rejected
from engine.core.numbers import parse_tree_number, tree_number
from engine.core.units import DAY_MS
from engine.domain import GAME
from engine.facts import tree_facts
from engine.in_force import FixedRules
from engine.publication import Publication
from engine.store import queries as game_queries
from engine.writer import Writer
from partners import jobs
from partners.checks import CHECKED
from partners.checks import audit as partners_audit
from partners.core.commands import FormOrder
from partners.core.records import commands as r
from partners.domain import partners_domain
from partners.pages import Place, tree_html, tree_page
from partners.store import queries, record_queries
from tests.partners.bench import PROGRAMME, RULES, Audience, Bench, open_bench

OTHER = "caragana-wuwei"
KEY = "018f0000-0000-7000-8000-00000000{:04x}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


async def found_by_check(bench: Bench) -> list[str]:
    """All that `saxaul check` says of game and partners, but for energy that these tests made of nothing."""
    findings = await audit(bench.db, RULES, [(CHECKED, partners_audit)])
    ours = {"wallet_balance", "energy_law", "below_zero"}
    return [str(one) for one in findings.examples if one.code not in ours]


async def without_place(bench: Bench, count: int = 1) -> list[int]:
    """Trees for which nobody has a place, after the job has seen them."""
    numbers = await bench.trees(count)
    await jobs.form_orders(bench.writer, bench.db)
    return [parse_tree_number(number) for number in numbers]


async def the_tree(bench: Bench, tree: int) -> dict[str, Any]:
    """What its user sees in tree.list; what was pushed last says the same."""
    async with bench.db.snapshot() as view:
        [(user,)] = await view.fetch("SELECT user_id FROM trees WHERE id = ?", tree)
        [row] = [one for one in await game_queries.trees(view, user, 1000) if one.id == tree]
    facts = tree_facts(row)
    told = [json.loads(item.data) for item in bench.audience.items if isinstance(item, Publication)]
    pushed = [one for data in told for one in data.get("trees", []) if one["number"] == tree_number(tree)]
    assert pushed[-1] == json.loads(json.dumps(facts))
    return facts


async def user_of(bench: Bench, tree: int) -> tuple[int, int]:
    [(user, wallet_g)] = await bench.rows(
        "SELECT u.id, u.wallet_g FROM trees t JOIN users u ON u.id = t.user_id WHERE t.id = ?", tree
    )
    return user, wallet_g


async def test_its_user_is_told_since_when_and_why_and_may_wait(url: str) -> None:
    async with open_bench(url, has_records=False) as bench:
        [tree] = await without_place(bench)
        facts: Any = await the_tree(bench, tree)
        assert facts["state"] == "pledged"
        assert facts["waiting"]["why"] == "no_place:no_quota"
        assert facts["waiting"]["choices"] == ["switch", "wait", "energy_back"]
        [(since_at, back_at)] = await bench.rows("SELECT unplaced_at, back_at FROM tree_units")
        assert back_at == since_at + 60 * DAY_MS
        async with bench.db.snapshot() as view:
            public = await queries.tree_facts(view, tree)
        assert public is not None
        page = tree_page(public, Place(RULES.programmes[PROGRAMME], RULES, False), since_at)
        waiting = {name: facts["waiting"][name] for name in ("since", "why", "energy_back_at")}
        assert page["waiting"] == waiting
        assert page["note_text"]["en"].startswith("No partner offers places for this species.")
        assert waiting["since"].encode() in tree_html(page)
        user, _ = await user_of(bench, tree)
        bench.clock.shift_ms += 10 * DAY_MS
        await bench.do(game.ChooseForTree(KEY.format(1), user, tree, "wait"))
        [(later_at,)] = await bench.rows("SELECT back_at FROM tree_units")
        assert 10 * DAY_MS <= later_at - back_at < 10 * DAY_MS + 60_000
        assert (await the_tree(bench, tree))["waiting"] != facts["waiting"]
        assert await found_by_check(bench) == []


async def test_energy_comes_back_by_choice_with_stock_and_money(url: str) -> None:
    async with open_bench(url, has_records=False) as bench:
        [tree] = await without_place(bench)
        user, wallet_g = await user_of(bench, tree)
        [(price_g,)] = await bench.rows("SELECT energy_g FROM trees")
        wish = game.ChooseForTree(KEY.format(1), user, tree, "energy_back")
        assert (await bench.do(wish))["wallet_g"] == wallet_g + price_g
        assert (await bench.do(wish))["wallet_g"] == wallet_g + price_g  # once
        assert await bench.rows("SELECT stock, sold FROM stocks") == [(1, 0)]
        assert await bench.rows("SELECT amount_minor - left_minor FROM commitments") == [(0,)]
        assert await bench.rows("SELECT state, note FROM tree_units") == [("withdrawn", "energy_back:chosen")]
        assert (await the_tree(bench, tree))["state"] == "withdrawn"
        with pytest.raises(Rejected) as refusal:
            await bench.do(game.ChooseForTree(KEY.format(2), user, tree, "wait"))
        assert refusal.value.code == "not_waiting"
        assert await found_by_check(bench) == []


async def test_a_switch_is_another_tree_and_the_energy_between_them(url: str) -> None:
    async with open_bench(url, has_records=False) as bench:
        [tree] = await without_place(bench)
        user, wallet_g = await user_of(bench, tree)
        await bench.do(game.FundProgramme(None, OTHER, "fund", "CNY", 1000, 1000))
        await bench.do(game.GrantStock(None, OTHER, 1))
        refusals = [
            (game.ChooseForTree(KEY.format(3), user, tree, "switch"), "bad_request"),
            (game.ChooseForTree(KEY.format(3), user, tree, "switch", PROGRAMME), "bad_request"),
            (game.ChooseForTree(KEY.format(3), user, tree, "switch", "moon"), "unknown_offer"),
            (game.ChooseForTree(KEY.format(3), user, tree, "burn"), "bad_request"),
            (game.ChooseForTree(KEY.format(3), user + 1, tree, "wait"), "unknown_user"),
            (game.ChooseForTree(KEY.format(3), user, tree + 1, "wait"), "unknown_tree"),
        ]
        for command, code in refusals:
            with pytest.raises(Rejected) as refusal:
                await bench.do(command)
            assert refusal.value.code == code
        prices = dict(await bench.rows("SELECT programme, energy_g FROM trees"))
        reply = await bench.do(game.ChooseForTree(KEY.format(4), user, tree, "switch", OTHER))
        new = parse_tree_number(reply["tree"])
        prices |= dict(await bench.rows("SELECT programme, energy_g FROM trees WHERE id = ?", new))
        assert reply["wallet_g"] == wallet_g + prices[PROGRAMME] - prices[OTHER]
        assert (await the_tree(bench, tree))["note"] == f"switched:{reply['tree']}"
        assert (await the_tree(bench, new))["state"] == "pledged"
        assert await bench.rows("SELECT programme, stock, sold FROM stocks ORDER BY programme") == [
            (OTHER, 0, 1),
            (PROGRAMME, 1, 0),
        ]
        assert await found_by_check(bench) == []


async def test_after_sixty_days_the_energy_comes_back_by_itself(url: str) -> None:
    async with open_bench(url, has_records=False) as bench:
        trees = await without_place(bench, 3)
        _, wallet_g = await user_of(bench, trees[0])
        bench.clock.shift_ms += 60 * DAY_MS - 60_000
        assert await jobs.give_energy_back(bench.writer, bench.db) == 0
        bench.clock.shift_ms += 120_000
        assert await jobs.give_energy_back(bench.writer, bench.db) == 3
        assert await jobs.give_energy_back(bench.writer, bench.db) == 0
        [(price_g,)] = await bench.rows("SELECT DISTINCT energy_g FROM trees")
        assert (await user_of(bench, trees[0]))[1] == wallet_g + 3 * price_g
        assert (await the_tree(bench, trees[0]))["note"] == "energy_back:no_place"
        assert await found_by_check(bench) == []


async def test_a_debt_is_repaid_first(url: str) -> None:
    async with open_bench(url, has_records=False) as bench:
        [tree] = await without_place(bench)
        user, wallet_g = await user_of(bench, tree)
        async with bench.db.write() as tx:
            await tx.execute("UPDATE users SET debt_g = 100 WHERE id = ?", user)
        bench.writer._cache = None
        [(price_g,)] = await bench.rows("SELECT energy_g FROM trees")
        await bench.do(game.ChooseForTree(KEY.format(1), user, tree, "energy_back"))
        assert await bench.rows("SELECT wallet_g, debt_g FROM users WHERE id = ?", user) == [
            (wallet_g + price_g - 100, 0)
        ]


async def test_a_place_that_comes_later_is_taken(url: str) -> None:
    async with open_bench(url) as bench:
        await bench.do(r.MovePartner(None, "li", "simulator-ngo", "suspended", "looked at"))
        [tree] = await without_place(bench)
        assert (await the_tree(bench, tree))["note"] == "no_place:partner_suspended"
        async with bench.db.snapshot() as view:
            [row] = await record_queries.waiting(view)
        assert (row["trees"], row["why"], row["has_place"]) == (1, "no_place:partner_suspended", False)
        await bench.do(r.MovePartner(None, "li", "simulator-ngo", "active"))
        await jobs.form_orders(bench.writer, bench.db)
        facts = await the_tree(bench, tree)
        assert facts["state"] == "ordered"
        assert "waiting" not in facts
        assert await found_by_check(bench) == []


async def test_orders_of_a_suspended_partner_are_held_and_go_on_by_themselves(url: str) -> None:
    async with open_bench(url) as bench:
        await bench.trees(3)
        await jobs.form_orders(bench.writer, bench.db)
        await bench.do(r.MovePartner(None, "li", "simulator-ngo", "suspended", "looked at"))
        await jobs.follow_up(bench.writer, bench.db)
        assert await bench.rows("SELECT held FROM partner_orders") == [("partner_suspended",)]
        await bench.do(r.MovePartner(None, "li", "simulator-ngo", "active"))
        await jobs.follow_up(bench.writer, bench.db)
        assert await bench.rows("SELECT held FROM partner_orders") == [("",)]
        assert await found_by_check(bench) == []


async def test_a_thousand_trees_after_the_last_ten_places_give_exactly_ten(url: str) -> None:
    """Also where two processes' writers want them at once."""
    async with open_bench(url) as bench:
        species = RULES.programmes[PROGRAMME].species
        for name, season in [
            (name, name.rpartition("/")[2])
            for (name,) in await bench.rows(
                "SELECT id FROM quotas WHERE site = ? ORDER BY order_by_at", PROGRAMME
            )
        ]:
            await bench.do(r.SetQuota(None, "li", PROGRAMME, species, season, 0))
            first = name
        season = first.rpartition("/")[2]
        await bench.do(r.SetQuota(None, "li", PROGRAMME, species, season, 10))
        await bench.trees(1000)
        units = [unit for (unit,) in await bench.rows("SELECT id FROM tree_units ORDER BY id")]
        async with bench.db.snapshot() as view:
            places = await queries.places_for(view, units[0], bench.clock.now_ms())
        commands = [
            FormOrder(None, PROGRAMME, tuple(units[start : start + 25]), places.quotas)
            for start in range(0, 1000, 25)
        ]
        writers = [bench.writer]
        if bench.db.is_shared:
            domains = (GAME, partners_domain(bench.registry.terms.values()))
            other = Writer(bench.db, domains, FixedRules(lambda: RULES), Audience(), bench.clock)
            other.start()
            writers.append(other)
        outcomes = await asyncio.gather(
            *(writers[place % len(writers)].submit(command) for place, command in enumerate(commands))
        )
        for other in writers[1:]:
            await other.stop()
        assert [outcome.error for outcome in outcomes] == [None] * len(commands)
        assert await bench.rows("SELECT held + ordered FROM quotas WHERE id = ?", first) == [(10,)]
        assert await bench.rows("SELECT count(*) FROM tree_units WHERE state = 'ordered'") == [(10,)]
        assert await bench.rows("SELECT count(*) FROM trees WHERE note = 'no_place:full'") == [(990,)]
        assert await found_by_check(bench) == []
