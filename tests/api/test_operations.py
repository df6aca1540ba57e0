"""Health, readiness, metrics and logs: true when asked, cheap to ask, and without a word about any person."""

import asyncio
import contextlib
import io
import json
import logging
import re
import sqlite3
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import structlog

from engine import logs
from engine.api.drain import begin_to_drain
from tests.api.conftest import OPERATOR_KEY, SERVER_KEY, Api, open_api, walk
from tests.support.postgres import Postgres


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


# --- health ---------------------------------------------------------------------------------------


async def test_alive_and_ready(api: Api) -> None:
    assert (await api.http.get("/healthz")).json() == {"status": "ok"}
    ready = await api.http.get("/readyz")
    told = {
        "status": "ready",
        "write": "ok",
        "delivery": "ok",
        "rulebook": api.parts.rules().hash,
        "edition": 0,
    }
    assert (ready.status_code, ready.json()) == (200, told)


async def test_asking_often_costs_one_proof_a_second(api: Api) -> None:
    replies = await asyncio.gather(*(api.http.get("/readyz") for _ in range(200)))
    assert {reply.status_code for reply in replies} == {200}
    assert api.parts.writer.tally.outcomes["ProveWrite", "ok"] <= 3
    assert api.parts.hub.watched() == []
    assert api.parts.hub.online() == []
    assert api.parts.hub.connected() == []


async def test_not_ready_while_the_database_is_away_and_ready_again_after(
    postgres: Postgres, postgres_url: str
) -> None:
    async with AsyncExitStack() as stack:
        api = await open_api(stack, postgres_url)
        assert (await api.http.get("/readyz")).status_code == 200
        postgres.crash()
        await asyncio.sleep(1.1)
        away = await api.http.get("/readyz")
        assert (away.status_code, away.json()["failing"]) == (503, "write")
        assert away.headers["retry-after"] == "2"
        assert (await api.http.get("/healthz")).status_code == 200
        refused = await api.server("POST", "/v1/users", {"display_name": "Lin", "zone": "UTC"})
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        read = await api.server("GET", "/v1/users/1")
        assert (read.status_code, read.json()["code"]) == (503, "unavailable")
        postgres.start()
        async with asyncio.timeout(20):
            while (await api.http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.2)
        await api.open_account()


async def test_a_stopped_writer_is_not_ready_and_refuses(lite: Api) -> None:
    await lite.parts.writer.stop()
    assert (await lite.http.get("/readyz")).json()["failing"] == "write"
    refused = await lite.server("POST", "/v1/users", {"display_name": "Lin", "zone": "UTC"})
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")


async def test_draining_fails_readiness_first_and_still_serves(lite: Api) -> None:
    await begin_to_drain(lite.parts)
    response = await lite.http.get("/readyz")
    assert (response.status_code, response.json()["failing"]) == (503, "draining")
    assert (await lite.http.get("/healthz")).headers["connection"] == "close"
    await lite.open_account()


async def test_a_full_queue_answers_at_once_and_says_which_items_to_send_again(
    sqlite_url: str,
) -> None:
    async with AsyncExitStack() as stack:
        api = await open_api(stack, sqlite_url, queue_commands_max=3)
        await api.add_source()
        await api.link(await api.open_account(), "sub-1")
        answers = (await api.report(*(walk(f"d{n}", steps=100) for n in range(10)))).json()["results"]
        assert [answer["status"] for answer in answers[:3]] == ["accepted"] * 3
        assert all(answer["reason"] == "overloaded" and answer["temporary"] for answer in answers[3:])


# --- metrics --------------------------------------------------------------------------------------


async def test_metrics_tell_what_was_done(lite: Api) -> None:
    await lite.add_source()
    user = await lite.open_account("Planted Name", reference="planted-reference")
    await lite.link(user, "planted-subject")
    await lite.report(walk("planted-activity", "planted-subject"), walk("x", "nobody"))
    await lite.server("GET", f"/v1/users/{user}")
    told = (await lite.http.get("/metrics")).text
    for line in (
        'saxaul_commands_total{command="OpenAccount",outcome="ok"} 1.0',
        'saxaul_commands_total{command="ReportActivity",outcome="not_linked"} 1.0',
        'saxaul_http_requests_total{method="GET",route="/v1/users/{user}",status="200"} 1.0',
        "saxaul_writer_queue_commands 0.0",
        'saxaul_recoveries_total{outcome="refused"} 0.0',
        'saxaul_group_commands_bucket{le="+Inf"}',
        "saxaul_group_seconds_sum",
        "saxaul_publications_total",
        "process_cpu_seconds_total",
        "saxaul_info{",
    ):
        assert line in told, line
    assert "planted" not in told.lower()
    names = {label for line in told.splitlines() for label in re.findall(r'(\w+)="', line)}
    kinds = {"command", "outcome", "route", "method", "status", "le", "job", "item", "version", "rules"}
    assert names <= kinds | {"generation", "implementation", "major", "minor", "patchlevel"}


async def test_unknown_addresses_and_methods_do_not_grow_the_metrics(lite: Api) -> None:
    for place in range(50):
        await lite.http.request(f"M{place}", f"/wp-admin/{place}")
    told = (await lite.http.get("/metrics")).text
    assert 'saxaul_http_requests_total{method="other",route="none",status="404"} 50.0' in told


# --- logs -----------------------------------------------------------------------------------------

NAME = "Xerxes of the Steppe"


async def test_nothing_personal_is_left_after_erasure(
    api: Api, written: io.StringIO, request: pytest.FixtureRequest
) -> None:
    """The name, the app's reference and the subject: in no table, no log line, no metric."""
    await api.add_source()
    user = await api.open_account(NAME, reference="xerxes-reference")
    friend = await api.open_account()
    await api.link(user, "xerxes-subject")
    await api.report(walk("day-1", "xerxes-subject"))
    await api.server("PATCH", f"/v1/users/{user}", {"display_name": f"{NAME} II"})
    await api.server("GET", f"/v1/users/{user}?identity=true")
    await api.server("DELETE", f"/v1/users/{friend}/links?source=city&subject=xerxes-subject")
    hostile = {"display_name": f"{NAME}\u202e", "zone": "xerxes-zone", "reference": "xerxes-reference"}
    await api.server("POST", "/v1/users", hostile)
    again = {"display_name": NAME, "zone": "UTC", "reference": "xerxes-reference"}
    await api.server("POST", "/v1/users", again)
    assert NAME in await dump(api, request)
    assert (await api.server("DELETE", f"/v1/users/{user}")).status_code == 200
    metrics = (await api.http.get("/metrics")).text
    for place, text in {
        "dump": await dump(api, request),
        "log": written.getvalue(),
        "metrics": metrics,
    }.items():
        found = re.search(".{0,200}xerxes.{0,80}", text, re.IGNORECASE)
        assert found is None, f"{place}: {found.group()}"


async def dump(api: Api, request: pytest.FixtureRequest) -> str:
    """The whole database as text; of SQLite also the bytes of its file, after a checkpoint of the log."""
    url = api.parts.settings.database_url
    if url.startswith("postgres"):
        return str(await request.getfixturevalue("postgres").dump(url))
    path = Path(url.partition("///")[2])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        text = "\n".join(connection.iterdump())
    return text + path.read_bytes().decode("latin-1")


async def test_keys_tokens_and_bodies_are_never_logged(lite: Api, written: io.StringIO) -> None:
    secret = await lite.add_source()
    user = await lite.open_account(NAME)
    await lite.link(user, "planted-subject")
    await lite.report(walk("planted-activity", "planted-subject"))
    await lite.user(user, "GET", f"/v1/forests/{user}?planted=query")
    await lite.call("GET", "/v1/trees", None, "planted-bearer")
    await lite.http.get("/planted/path")
    told = written.getvalue()
    for hidden in (SERVER_KEY, OPERATOR_KEY, secret, "eyJ", "planted", "Planted"):
        assert hidden not in told
    accesses = [line for line in lines(written) if line["event"] == "request"]
    assert {"method", "route", "status", "ms", "request", "at", "level"} <= set(accesses[0])
    assert "/v1/forests/{user}" in [line["route"] for line in accesses]


async def test_a_fault_is_logged_by_kind_and_place_without_its_text(lite: Api, written: io.StringIO) -> None:
    async with lite.parts.db.write() as tx:
        sql = "INSERT INTO sources VALUES ('bad', 'Bad', 'whsec_', NULL, NULL, ?, 1, '[]', '{}')"
        await tx.execute(sql, f"{{{NAME}")
    failed = await lite.operator("GET", "/v1/sources")
    [fault] = [line for line in lines(written) if line["level"] == "error"]
    assert fault["request"] == failed.headers["request-id"]
    assert "DecodeError" in str(fault["exception"])
    assert "queries.py" in str(fault["where"])
    assert NAME not in written.getvalue()


def test_what_slips_into_a_log_line_is_masked(written: io.StringIO) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    structlog.get_logger("a").info(
        "hello", token=token, detail=f"got {token}", nested={"secret": "s3", "n": 1}
    )
    logging.getLogger("b").warning("address postgresql://lin:hunter2@db/x and %s", "Bearer abcdef")
    try:
        raise ValueError(NAME)
    except ValueError:
        logging.getLogger("c").exception("it failed")
    first, second, third = lines(written)
    assert (first["token"], first["detail"]) == ("[masked]", "got [masked]")
    assert first["nested"] == {"secret": "[masked]", "n": 1}
    assert second["event"] == "address postgresql://[masked]@db/x and [masked]"
    assert (third["exception"], third["event"]) == ("ValueError", "it failed")
    assert NAME not in written.getvalue()


def test_a_terminal_gets_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure("INFO", as_json=False)
        logging.getLogger("x").info("served on %s", "127.0.0.1:8000")
        logging.getLogger("x").debug("unseen")
        out = capsys.readouterr().out
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    assert "served on 127.0.0.1:8000" in out
    assert "unseen" not in out
