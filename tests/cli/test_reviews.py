"""Looking at shown acts on the command line."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from engine.core.commands import KeepPhoto, OpenAccount, SubmitActivity
from engine.main import open_engine
from engine.settings import Settings
from tests.cli.conftest import Ran, run_saxaul
from tests.laws.rules import bent_rules
from tests.support.server import new_key


@pytest.fixture
def shown(tmp_path: Path) -> tuple[dict[str, object], list[str]]:
    """Settings of a database in which two rides were shown by photos that look alike; the two activities."""
    rules = bent_rules(tmp_path, tree_g=50)
    settings = {"database_url": f"sqlite:///{tmp_path}/shown.db", "game_rules": rules}

    async def build() -> list[str]:
        async with open_engine(Settings(_env_file=None, **settings)) as engine:  # type: ignore[arg-type]
            [opened] = await engine.writer.submit_all([OpenAccount(None, None, "Lin", "UTC")])
            user, now = int(json.loads(opened.data or b"")["user"]), engine.clock.now_ms()
            names = [f"{number:064x}" for number in (1, 2)]
            photos = [KeepPhoto(user, name, name, 4, 3, "0" * 16, ("f" * 64,)) for name in names]
            await engine.writer.submit_all(photos)
            acts = [
                SubmitActivity(new_key(), user, "bus", Decimal(1), "ride", name, at=now - hours * 3_600_000)
                for hours, name in enumerate(names, 1)
            ]
            outcomes = await engine.writer.submit_all(acts)
            return [json.loads(outcome.data or b"")["activity"] for outcome in outcomes]

    return settings, asyncio.run(build())


def review(settings: dict[str, object], *arguments: str) -> Ran:
    return run_saxaul("review", *arguments, **settings)


def test_shown_acts_are_listed_and_decided(
    shown: tuple[dict[str, object], list[str]], tmp_path: Path
) -> None:
    settings, (one, two) = shown
    told = review(settings, "list", "--json").check().json["reviews"]
    assert [row["activity"] for row in told] == [one, two]
    assert told[0]["reason"] == "alike" and told[0]["photo_file"].startswith(f"{tmp_path}/shown.db.photos/")
    assert [
        row["activity"] for row in review(settings, "list", "--after", one, "--json").json["reviews"]
    ] == [two]
    accepted = review(settings, "accept", one, "--by", "Ana", "--json").check().json
    assert accepted["state"] == "accepted"
    assert "is refused" in review(settings, "refuse", two, "--by", "Ana", "--note", "a screen").check().err
    assert review(settings, "list", "--json").check().json == {"reviews": []}
    [done] = review(settings, "list", "--state", "refused", "--json").check().json["reviews"]
    assert (done["energy_g"], done["note"], done["decided_by"]) == (0, "a screen", "Ana")
    again = review(settings, "accept", two, "--by", "Bo")
    assert again.status == 1 and "review_decided" in again.err
    assert "unknown_review" in review(settings, "accept", "4711", "--by", "Bo").err
    assert review(settings, "accept", two, "--by", " ").status != 0
    assert run_saxaul("check", **settings).check()


def test_damage_to_shown_acts_is_named(shown: tuple[dict[str, object], list[str]], tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    settings, (one, _) = shown
    review(settings, "refuse", one, "--by", "Ana").check()
    with closing(sqlite3.connect(tmp_path / "shown.db")) as db, db:
        db.execute("UPDATE activities SET status = 'accepted' WHERE id = ?", (one,))
        db.execute("UPDATE photos SET activity_id = NULL")
    told = run_saxaul("check", "--json", **settings)
    assert told.status == 1
    assert {"photo_missing", "refused_counted"} <= set(told.json["problems"])
