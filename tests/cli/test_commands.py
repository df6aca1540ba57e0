"""Every command on an empty database, its refusals, and what machines read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import jwt
import pytest

from tests.cli.conftest import Saxaul
from tests.support.server import Server, run_cli

SAMPLES = Path(__file__).parents[2] / "docs" / "samples"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("serve",),
        ("demo",),
        ("ingest",),
        ("token",),
        ("explain", "ball"),
        ("check",),
        ("doctor",),
        ("rules", "check"),
        ("source", "add"),
        ("source", "rotate"),
        ("source", "list"),
        ("source", "show"),
        ("review", "list"),
        ("review", "accept"),
        ("review", "refuse"),
        ("version",),
    ],
)
def test_every_command_explains_itself(saxaul: Saxaul, arguments: tuple[str, ...]) -> None:
    told = saxaul(*arguments, "--help").check().out
    assert "Usage:" in told and len(told) > 200


def test_version(saxaul: Saxaul) -> None:
    told = saxaul("version", "--json").check().json
    assert told["saxaul"].count(".") == 2 and len(told["rulebook"]) == 64


def test_doctor_on_a_new_machine(saxaul: Saxaul) -> None:
    told = {one["what"]: one for one in saxaul("doctor", "--json").check().json}
    assert told["database"]["state"] == "ok" and "does not exist yet" in told["database"]["found"]
    assert told["secrets"]["state"] == "warn" and told["sync"]["state"] in ("ok", "warn")
    assert told["rulebook"]["state"] == "ok"


def test_doctor_finds_what_is_wrong(saxaul: Saxaul, tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 500)
    ran = saxaul(
        "doctor",
        database_url=f"sqlite:///{tmp_path / 'broken.db'}",
        host="0.0.0.0",
        redis_url="redis://127.0.0.1:1/0",
    )
    assert ran.status == 1
    failing = [line for line in ran.out.splitlines() if line.startswith("fail")]
    assert [line.split()[1] for line in failing] == ["secrets", "database", "Redis"]
    assert ran.out.count("→") >= 3


async def test_doctor_of_real_servers(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    ran = await run_cli("doctor", "--json", cwd=tmp_path, database_url=postgres_url, redis_url=redis_url)
    told = {one["what"]: one["state"] for one in ran.check().json}
    assert told["PostgreSQL"] == told["Redis"] == told["its clock"] == "ok"


def test_doctor_without_postgresql(saxaul: Saxaul) -> None:
    ran = saxaul("doctor", database_url="postgresql://someone:hunter2@127.0.0.1:1/none")
    assert ran.status == 1 and "PostgreSQL" in ran.out and "hunter2" not in ran.out


@pytest.mark.parametrize("url", ["mysql://x", "sqlite:///", "sqlite://x", "nonsense", "sqlite:///:memory:"])
@pytest.mark.parametrize("command", ["check", "doctor"])
def test_a_database_url_that_is_none(saxaul: Saxaul, url: str, command: str) -> None:
    ran = saxaul(command, "--database", url)
    assert ran.status == 2 and "database url" in ran.err


def test_a_folder_that_is_not_there(saxaul: Saxaul, tmp_path: Path) -> None:
    ran = saxaul("check", "--database", f"sqlite:///{tmp_path}/none/saxaul.db")
    assert ran.status == 1 and "can't be used" in ran.err


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_file_that_cannot_be_used_is_not_the_ports_fault(
    saxaul: Saxaul, tmp_path: Path, command: str
) -> None:
    for name in ("v.db.lock", "v.ngo.log"):
        (tmp_path / name).mkdir()
    ran = saxaul(command, "--port", "0", "--database", f"sqlite:///{tmp_path / 'v.db'}")
    assert ran.status == 1 and "can't use" in ran.err and str(tmp_path / "v.") in ran.err
    assert "Traceback" not in ran.err and "listen" not in ran.err


def test_a_setting_that_is_none(saxaul: Saxaul) -> None:
    ran = saxaul("check", port="many")
    assert ran.status == 2 and "SAXAUL_PORT" in ran.err


def test_a_list_that_is_no_json(saxaul: Saxaul) -> None:
    ran = saxaul("doctor", origins="https://game.example")
    assert ran.status == 2 and "SAXAUL_ORIGINS" in ran.err and "JSON list" in ran.err
    assert "Traceback" not in ran.err and len(ran.err.splitlines()) == 1


def test_well_known_secrets_are_refused_off_loopback(saxaul: Saxaul) -> None:
    ran = saxaul("serve", "--host", "0.0.0.0", "--port", "0")
    assert ran.status == 2 and "SAXAUL_TOKEN_SECRET" in ran.err


async def test_one_process_serves_a_file_and_a_port(server: Server, tmp_path: Path) -> None:
    twice = await server.cli("serve", "--port", "0")
    assert twice.status == 1 and "another process serves" in twice.err
    other = f"sqlite:///{tmp_path / 'other.db'}"
    taken = await server.cli("serve", "--database", other)
    assert taken.status == 1 and "--port" in taken.err, taken.err
    told = {one["what"]: one for one in (await server.cli("doctor", "--json")).check().json}
    assert told["port"]["state"] == "warn" and told["database"]["state"] == "ok"


# --- tokens -----------------------------------------------------------------------------------------


def test_a_token_by_id_reference_and_name(saxaul: Saxaul) -> None:
    saxaul("ingest", SAMPLES / "fitbit.csv", "--format", "fitbit").check()
    by_reference = saxaul("token", "fitbit:1000000002", "--json").check().json
    claims = jwt.decode(by_reference["token"], options={"verify_signature": False})
    assert claims["sub"] == by_reference["user"] and claims["aud"] == "saxaul"
    by_name = saxaul("token", "Walker 0002", "--json").check().json
    by_id = saxaul("token", by_reference["user"]).check()
    assert by_name["user"] == by_reference["user"]
    assert by_id.out.count(".") == 2 and by_id.out.count("\n") == 1 and not by_id.err


def test_a_token_on_an_empty_database(saxaul: Saxaul) -> None:
    ran = saxaul("token", "17").check()
    assert (
        "no account 17" in ran.err
        and jwt.decode(ran.out.strip(), options={"verify_signature": False})["sub"] == "17"
    )
    assert saxaul("token", "nobody").status == 1


def test_tokens_are_for_demos(saxaul: Saxaul) -> None:
    own = "o" * 40
    refused = saxaul("token", "17", token_secret=own)
    assert refused.status == 2 and "--sign-anyway" in refused.err
    signed = saxaul("token", "17", "--sign-anyway", token_secret=own).check()
    assert jwt.decode(signed.out.strip(), own, algorithms=["HS256"], audience="saxaul")["sub"] == "17"
    assert saxaul("token", "17", "--sign-anyway", token_key_set="https://example.org/keys").status == 2
    assert saxaul("token", "17", "--ttl-s", "-1").status == 2


# --- sources and rules ------------------------------------------------------------------------------


def test_sources(saxaul: Saxaul) -> None:
    added = (
        saxaul("source", "add", "metro-bj", "--behaviour", "metro", "--behaviour", "bus", "--json")
        .check()
        .json
    )
    assert added["secret"].startswith("whsec_") and added["behaviours"] == ["metro", "bus"]
    again = saxaul("source", "add", "metro-bj", "--behaviour", "metro")
    assert again.status == 1 and "saxaul source rotate metro-bj" in again.err
    rotated = saxaul("source", "rotate", "metro-bj", "--keep-old-h", "1", "--json").check().json
    assert rotated["secret"] != added["secret"] and rotated["old_until_at"].endswith("Z")
    assert "source add nobody" in saxaul("source", "rotate", "nobody").err
    assert saxaul("source", "add", "Metro BJ", "--behaviour", "metro").status == 2
    assert "unknown_behaviour" in saxaul("source", "add", "air", "--behaviour", "flying").err


def test_what_a_source_states_of_itself(saxaul: Saxaul) -> None:
    assert "No source" in saxaul("source", "list").err
    stated = (
        "--category",
        "green-travel",
        "--field",
        "distance_km",
        "--refresh-h",
        "24",
        "--contact",
        "ops@metro",
    )
    owned = ("--reduction-owner", "operator", "--may-be-sold", "--evidence", "gate-record")
    saxaul("source", "add", "gates", "--behaviour", "metro", *stated, *owned).check()
    shown = saxaul("source", "show", "gates", "--json").check().json
    assert shown == {
        "source": "gates",
        "name": "gates",
        "behaviours": ["metro"],
        "evidence": ["gate-record"],
        "categories": ["green-travel"],
        "fields": ["distance_km"],
        "refresh_h": 24,
        "contact": "ops@metro",
        "reduction_owner": "operator",
        "may_be_sold": True,
    }
    assert saxaul("source", "list", "--json").check().json == {"sources": [shown]}
    assert "gate-record" in saxaul("source", "show", "gates").check().out
    for wrong, field in (
        (("--category", "flying"), "categories"),
        (("--reduction-owner", "me"), "reduction_owner"),
        (("--may-be-sold",), "may_be_sold"),
        (("--evidence", "oath"), "evidence"),
    ):
        refused = saxaul("source", "add", "other", "--behaviour", "metro", *wrong)
        assert refused.status == 1 and "bad_source" in refused.err and field in refused.err
    assert saxaul("source", "show", "nobody").status == 1


def test_rules_check(saxaul: Saxaul, tmp_path: Path) -> None:
    told = saxaul("rules", "check", "--json").check().json
    assert told["ok"] and told["behaviours"] >= 8 and told["programmes"] >= 3
    empty = tmp_path / "rules"
    empty.mkdir()
    (empty / "game.yaml").write_text("life_h: 1\nlife_h: 2\n")
    ran = saxaul("rules", "check", empty)
    assert ran.status == 1 and "game.yaml:2" in ran.out and "Fix:" in ran.out
    assert saxaul("rules", "check", tmp_path / "none").status == 2


async def test_the_installed_command_runs_in_an_empty_folder(tmp_path: Path) -> None:
    for arguments in (("version",), ("check",), ("doctor",), ("token", "1"), ("explain", "ball", "1")):
        ran = await run_cli(*arguments, cwd=tmp_path)
        assert ran.status == (1 if arguments[0] == "explain" else 0), ran.err
        assert "Traceback" not in ran.err


def test_a_restored_database_gets_a_new_epoch(saxaul: Saxaul) -> None:
    first = saxaul("restored").check().out
    second = saxaul("restored").check().out
    epochs = {line.split("incarnation, ")[1].split(";")[0] for line in (first, second)}
    assert len(epochs) == 2
    with closing(sqlite3.connect("saxaul.db")) as db:
        [stored] = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    assert stored in second
