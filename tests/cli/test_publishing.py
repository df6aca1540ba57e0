"""Publishing from the command line: alone, beside a running server, and what `check` finds in damaged editions."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.rulebook import shipped_rules
from tests.cli.conftest import Ran, Saxaul, run_saxaul
from tests.support.server import Server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped rulebook in a folder of its own, with another life of balls from 2099 on."""
    place = tmp_path / "rules"
    shutil.copytree(shipped_rules(), place)
    set_life(place, 70)
    return place


def set_life(place: Path, hours: int) -> None:
    text = (shipped_rules() / "game.yaml").read_text()
    line = f"  2099-01-01: {{value: {hours}, confidence: assumed, references: [saxaul-notes], because: A trial.}}\n"
    assert text.count("\nlife_h:\n") == 1
    (place / "game.yaml").write_text(text.replace("\nlife_h:\n", f"\nlife_h:\n{line}"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish",),
        ("approve",),
        ("rollback",),
        ("withdraw",),
        ("history",),
        ("show",),
        ("canary",),
        ("canary", "promote"),
        ("canary", "withdraw"),
    ],
)
def test_every_command_explains_itself(saxaul: Saxaul, arguments: tuple[str, ...]) -> None:
    told = saxaul("rules", *arguments, "--help").check().out
    assert "Usage:" in told and len(told) > 200


def test_the_whole_course(saxaul: Saxaul, folder: Path) -> None:
    assert "No rulebook was ever in force" in saxaul("rules", "history").check().out
    told = saxaul("rules", "publish", folder, "--why", "a trial", "--by", "lin", "--share", "5").check()
    assert "canary, 5 % of users" in told.out and "saxaul rules approve 2" in told.err
    own = saxaul("rules", "approve", "2", "--by", "LIN")
    assert own.status == 1 and own.err.startswith("saxaul: own_proposal:")
    saxaul("rules", "approve", "2", "--by", "ana").check()
    shown = saxaul("rules", "show", "--json").check().json
    assert (shown["in_force"]["edition"], shown["canary"]["edition"]) == (1, 2)
    promoted = saxaul("rules", "canary", "promote", "--why", "good", "--by", "ana", "--json").check().json
    assert (promoted["edition"], promoted["share_pct"], promoted["origin"]) == (3, 100, "promotion")
    back = saxaul("rules", "rollback", "--why", "bad", "--by", "kim").check()
    assert "The rulebook of edition 1 counts again" in back.err
    told = saxaul("rules", "history").check().out
    for part in (
        "approved by ana",
        "ended by ana: promoted as edition 3",
        "(rollback)",
        ": bad",
        "the beginning",
    ):
        assert part in told
    states = [one["state"] for one in saxaul("rules", "history", "--json").check().json]
    assert states == ["published", "ended", "ended", "ended"]
    assert saxaul("check", "--json").check().json["counts"]["editions"] == 4
    [edition] = [one for one in saxaul("doctor", "--json").check().json if one["what"] == "edition"]
    assert edition["state"] == "ok" and edition["found"].startswith("4 of 4")


def test_a_canary_is_withdrawn_by_a_rollback_too(saxaul: Saxaul, folder: Path) -> None:
    for number, end in ((2, ("canary", "withdraw")), (3, ("rollback",))):
        saxaul("rules", "publish", folder, "--why", "w", "--by", "lin", "--share", "0.25").check()
        saxaul("rules", "approve", number, "--by", "ana").check()
        assert "ends at" in saxaul("rules", *end, "--why", "no", "--by", "lin").check().err
    refused = saxaul("rules", "canary", "withdraw", "--why", "no")
    assert refused.status == 1 and "not_running" in refused.err


def test_files_come_back_as_they_were(saxaul: Saxaul, folder: Path, tmp_path: Path) -> None:
    saxaul("rules", "publish", folder, "--why", "w", "--by", "lin").check()
    saxaul("rules", "show", "2", "--files", tmp_path / "back").check()
    assert (tmp_path / "back/game.yaml").read_text() == (folder / "game.yaml").read_text()
    over = saxaul("rules", "show", "2", "--files", tmp_path / "back")
    assert over.status == 2 and "is there already" in over.err
    assert saxaul("rules", "show", "9").status == 1


def test_refusals_say_what_to_do(saxaul: Saxaul, folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_text("x")
    broken = saxaul("rules", "publish", folder, "--why", "w")
    assert broken.status == 1 and "notes.txt" in broken.err and "saxaul rules check" in broken.err
    (folder / "notes.txt").unlink()
    first = sorted((folder / "programmes").glob("*.yaml"))[0]
    kept = first.read_text()
    first.unlink()
    edited = saxaul("rules", "publish", folder, "--why", "w")
    assert edited.status == 1 and "the file is gone" in edited.err and "--although-edited" in edited.err
    told = saxaul(
        "rules", "publish", folder, "--why", "w", "--although-edited", "closed", "--by", "lin"
    ).check()
    assert "although edited_in_place, by lin: closed" in told.out
    saxaul("rules", "withdraw", "2", "--why", "w").check()
    first.write_text(kept)
    for arguments, part in (
        (("publish", tmp_path / "nowhere", "--why", "w"), "there is no folder"),
        (("publish", folder, "--why", "w", "--share", "0.123"), "two decimals"),
        (("publish", folder, "--why", "w", "--from", "tomorrow"), "no instant"),
    ):
        ran = saxaul("rules", *arguments)
        assert ran.status == 2 and part in ran.err
    assert saxaul("rules", "publish", folder).status == 2
    assert "nothing_earlier" in saxaul("rules", "rollback", "--why", "w").err


async def test_beside_a_running_server_it_counts_without_a_restart(server: Server, folder: Path) -> None:
    told = (await server.cli("rules", "publish", str(folder), "--why", "w", "--by", "lin", "--json")).check()
    assert told.json["edition"] == 2
    approved = (await server.cli("rules", "approve", "2", "--by", "ana", "--json")).check().json
    async with asyncio.timeout(10):
        while (await server.call("GET", "/readyz")).json()["edition"] != 2:
            await asyncio.sleep(0.05)
    assert (await server.call("GET", "/readyz")).json()["rulebook"] == approved["rulebook"]
    (folder / "game.yaml").write_text("broken: [")
    broken = await server.cli("rules", "publish", str(folder), "--why", "w")
    assert broken.status == 1 and server.ready()
    (await server.cli("rules", "rollback", "--why", "w")).check()
    async with asyncio.timeout(10):
        while (await server.call("GET", "/readyz")).json()["edition"] != 3:
            await asyncio.sleep(0.05)
    (await server.cli("check")).check()


def test_keys_of_operators_are_a_json_object_and_not_repeated(saxaul: Saxaul) -> None:
    ran = saxaul("rules", "history", operators="lin=a-secret-of-lin")
    assert ran.status == 2 and "SAXAUL_OPERATORS" in ran.err and "JSON object" in ran.err
    assert "a-secret-of-lin" not in ran.err


# --- what check finds -------------------------------------------------------------------------------

Damage = Callable[[sqlite3.Connection], Any]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a promoted canary, a rollback, a proposal, and an act of a user."""
    place = tmp_path_factory.mktemp("published")
    rules, path = place / "rules", place / "whole.db"
    shutil.copytree(shipped_rules(), rules)
    set_life(rules, 70)
    url = f"sqlite:///{path}"

    def run(*arguments: str | Path) -> Ran:
        return run_saxaul(*arguments, database_url=url).check()

    run("rules", "publish", rules, "--why", "w", "--by", "lin", "--share", "50")
    run("rules", "approve", "2", "--by", "ana")
    run(
        "ingest",
        Path(__file__).parents[2] / "docs/samples/fitbit.csv",
        "--format",
        "fitbit",
        "--rebase",
        "yesterday",
    )
    run("rules", "canary", "promote", "--why", "w", "--by", "ana")
    run("rules", "rollback", "--why", "w", "--by", "lin")
    set_life(rules, 71)
    run("rules", "publish", rules, "--why", "w", "--by", "lin")
    return path


def sql(*statements: str) -> Damage:
    def run(db: sqlite3.Connection) -> None:
        for statement in statements:
            assert db.execute(statement).rowcount, f"hit nothing: {statement}"

    return run


OTHER = "(SELECT hash FROM editions WHERE number = 5)"
DAMAGES: dict[str, tuple[str, Damage]] = {
    "an edition is gone": ("edition_numbers", sql("DELETE FROM editions WHERE number = 3")),
    "the desk counts wrong": ("edition_numbers", sql("UPDATE edition_desk SET newest = 7")),
    "a rulebook is gone": ("rulebook_missing", sql("DELETE FROM rulebooks WHERE hash = " + OTHER)),
    "a rulebook was edited": (
        "rulebook_damaged",
        sql("UPDATE rulebooks SET files = replace(files, 'value: 72', 'value: 73')"),
    ),
    "a rulebook is no JSON": (
        "rulebook_damaged",
        sql(f"UPDATE rulebooks SET files = 'x' WHERE hash = {OTHER}"),
    ),
    "one person did both": (
        "edition_people",
        sql("UPDATE editions SET approved_by = proposed_by WHERE number = 2"),
    ),
    "nobody said why": ("edition_people", sql("UPDATE editions SET why = '' WHERE number = 4")),
    "nobody ended it": ("edition_people", sql("UPDATE editions SET ended_by = '' WHERE number = 2")),
    "it counts from before its approval": (
        "edition_backdated",
        sql("UPDATE editions SET from_at = approved_at - 1000 WHERE number = 4"),
    ),
    "a canary was never ended": (
        "two_canaries",
        sql(
            "UPDATE editions SET until_at = NULL WHERE number = 2",
            "UPDATE editions SET share = 100, until_at = from_at + 9 WHERE number = 3",
        ),
    ),
    "another says who proposed": (
        "edition_journal",
        sql("UPDATE editions SET proposed_by = 'kim' WHERE number = 5"),
    ),
    "the journal has forgotten": (
        "edition_journal",
        sql("DELETE FROM journal WHERE kind = 'RollBackRulebook'"),
    ),
    "the canary had other users": (
        "other_rulebook",
        sql("UPDATE editions SET salt = 'another' WHERE number = 2"),
    ),
    "an act of another rulebook": (
        "other_rulebook",
        sql(
            "UPDATE activities SET trace = json_set(trace, '$.rules', " + OTHER + ")"
            " WHERE id = (SELECT max(id) FROM activities)"
        ),
    ),
}


def test_a_whole_database_passes(published: Path) -> None:
    told = run_saxaul("check", "--json", database_url=f"sqlite:///{published}").check().json
    assert told["counts"]["editions"] == 5
    assert told["counts"]["activities held against editions"] > 50


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(published: Path, tmp_path: Path, damage: str) -> None:
    code, do = DAMAGES[damage]
    path = tmp_path / "damaged.db"
    shutil.copy(published, path)
    with closing(sqlite3.connect(path)) as db:
        do(db)
        db.commit()
    ran = run_saxaul("check", "--json", database_url=f"sqlite:///{path}")
    assert ran.status == 1 and code in ran.json["problems"], ran.out
