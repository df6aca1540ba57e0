"""A ball explains itself: where it came from, by which values, and where every gram went."""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path
from typing import Any

import pytest

from engine.core.context import spread
from tests.cli.conftest import Ran, run_saxaul
from tests.cli.world import World, build


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    path: Path = tmp_path_factory.mktemp("explained") / "whole.db"
    return asyncio.run(build(f"sqlite:///{path}"))


def explain(world: World, ball: int | str, *options: str) -> Ran:
    return run_saxaul("explain", "ball", str(ball), *options, database_url=world.url)


def moved(document: dict[str, Any], asset: str = "energy") -> list[tuple[str, str, int]]:
    return [(one["from"], one["to"], one["amount"]) for one in document["transfers"] if one["asset"] == asset]


def test_every_gram_of_a_shared_ball(world: World) -> None:
    document = explain(world, world.shared_ball, "--json").check().json
    ball = f"ball:{world.shared_ball}"
    steps = moved(document)
    assert steps[0][:2] == ("mint", ball)
    assert [step[1] for step in steps[1:]] == [f"wallet:{world.friend}", f"wallet:{world.walker}"]
    assert steps[0][2] == sum(step[2] for step in steps[1:]) == document["policy"]["full_g"]
    assert document["missing_g"] == 0 and document["now"]["state"] == "empty"
    assert document["activity"]["source"] == "band" and document["activity"]["rulebook_is_current"]
    assert document["calculation"]["energy"]["method"]


def test_the_draw_can_be_checked_by_hand(world: World) -> None:
    document = explain(world, world.shared_ball, "--json").check().json
    [drawn] = [one["draw"] for one in document["transfers"] if "draw" in one]
    secret, drawn_for = bytes.fromhex(drawn["secret"]), f"{world.shared_ball}|{world.friend}".encode()
    number = int.from_bytes(hmac.digest(secret, drawn_for, "sha256")[:8])
    policy = document["policy"]
    assert (
        spread(number, policy["share_min_g"], policy["share_max_g"]) == drawn["drawn_g"] == drawn["taken_g"]
    )
    assert (drawn["share_g"], drawn["before"], policy["share_less_pct"]) == (drawn["drawn_g"], 0, 0)


def test_an_act_that_came_too_late(world: World) -> None:
    document = explain(world, world.expired_ball, "--json").check().json
    assert [step[1] for step in moved(document)] == [f"ball:{world.expired_ball}", "expired"]
    assert document["now"]["state"] == "expired" and document["activity"]["status"] == "recorded"


def test_a_reversed_act_leaves_a_debt(world: World) -> None:
    document = explain(world, world.reversed_ball, "--json").check().json
    assert document["now"]["state"] == "reversed"
    owed = [step for step in moved(document) if step[:2] == (f"debt:{world.debtor}", "reversed")]
    assert owed and owed[0][2] == 80
    assert moved(document, "avoided")[-1][1] == "reversed"
    assert document["missing_g"] == 0


def test_all_balls_add_up(world: World) -> None:
    """No gram of any ball is missing from its explanation, however its rows are found."""
    from engine.clock import Clock
    from engine.explain import explain_ball, in_words
    from engine.reading import reading
    from engine.rulebook import load_rulebook

    async def look() -> None:
        rules = load_rulebook()
        async with reading(world.url) as db:
            async with db.snapshot() as view:
                balls = [ball for (ball,) in await view.fetch("SELECT id FROM balls ORDER BY id")]
            for ball in balls:
                document = await explain_ball(db, rules, ball, now=Clock().now_ms())
                assert document is not None and document["missing_g"] == 0, document
                assert in_words(document)

    asyncio.run(look())


def test_in_words(world: World) -> None:
    words = explain(world, world.shared_ball).check().out
    for part in (
        "Walking",
        "296 g",
        "[fitbit-2016]",
        "Rulebook ",
        "mint",
        f"wallet:{world.friend}",
        "the draw of",
    ):
        assert part in words, words


@pytest.mark.parametrize(
    ("ball", "status"), [("999999999", 1), ("abc", 2), ("-5", 2), ("0", 2), ("9" * 30, 2)]
)
def test_no_such_ball(world: World, ball: str, status: int) -> None:
    ran = explain(world, ball)
    assert ran.status == status and ran.err


def test_two_reports_of_one_act_tell_of_each_other(world: World) -> None:
    lesser = explain(world, world.excluded_ball, "--json").check().json
    greater = explain(world, world.counting_ball, "--json").check().json
    assert lesser["missing_g"] == greater["missing_g"] == 0
    assert lesser["activity"]["status"] == "excluded" and lesser["activity"]["avoided_mg"] == 0
    assert str(world.counting_ball) in lesser["weighed"][0]
    assert any(str(world.excluded_ball) in line for line in greater["weighed"])
    gone = sum(
        one["amount"] for one in lesser["transfers"] if one["reason"] == f"excluded:{world.excluded_ball}"
    )
    assert gone > 0
    assert not any(one["reason"].startswith("excluded:") for one in greater["transfers"])
    taken = lesser["activity"]["energy_g"]
    assert taken > 0 and any(f"{taken} g had been collected already" in line for line in greater["weighed"])
    assert greater["evidence"]["grade"] and greater["source"]["reduction_owner"] == "none"
    words = explain(world, world.counting_ball).check().out
    assert "It counted in place of" in words and "owned by nobody" in words
