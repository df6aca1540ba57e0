"""Simulations and reports over HTTP: begun, watched, read and stopped, on real processes; and hostile wishes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from engine.core.errors import Rejected
from engine.rulebook import shipped_rules
from engine.rulefiles.packing import packed
from engine.simulate.population import SHIPPED
from engine.workbench import studies
from engine.workbench.studies import Studies
from tests.api.conftest import Api, new_key, walk
from tests.api.test_rules import changed, served
from tests.cli.conftest import run_saxaul

SAMPLES = Path(__file__).parents[2] / "docs/samples"
SMALL = {"users": 20, "days": 5, "runs": 1}


@pytest_asyncio.fixture
async def desk(lite: Api) -> AsyncIterator[Api]:
    """The app, whose processes end with the test."""
    yield lite
    await lite.parts.studies.close()


async def begun(api: Api, kind: str = "simulations", key: str | None = None, **body: Any) -> httpx.Response:
    return await api.operator("POST", f"/v1/rules/{kind}", body, key)


async def ended(api: Api, told: dict[str, Any], kind: str = "simulations") -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while told["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.1)
        told = (await api.operator("GET", f"/v1/rules/{kind}/{told['id']}")).json()
    return told


async def test_two_rulebooks_are_simulated_and_read(desk: Api) -> None:
    files = packed(shipped_rules())
    metro = "behaviours/green-travel/metro.yaml"
    files[metro] = files[metro].replace("value: 52", "value: 104").replace("energy_g: 52", "energy_g: 104")
    assert files[metro].count("104") >= 2
    body: dict[str, Any] = {"rulebooks": [{}, {"files": files}], "users": 40, "days": 10, "runs": 2}
    key = new_key()
    answer = await begun(desk, key=key, **body)
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert answer.headers["Location"] == f"/v1/rules/simulations/{told['id']}"
    assert (told["state"], told["asked"]["rulebooks"][1], told["tables"]) == ("waiting", "as sent", None)
    again = await begun(desk, key=key, **body)
    assert again.headers["Idempotency-Replayed"] == "true" and again.json()["id"] == told["id"]
    other = await begun(desk, key=key, **{**body, "seed": 2})
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    early = await desk.operator("GET", f"/v1/rules/simulations/{told['id']}/tables")
    assert (early.status_code, early.json()["code"]) == (409, "study_unfinished")

    told = await ended(desk, told)
    assert told["state"] == "done" and told["done"] == told["total"] == 40 * 10 * 2 * 2, told
    tables = (await desk.operator("GET", told["tables"])).json()
    [metro_row] = [row for row in tables["tables"]["difference"] if row["measure"] == "issued_g"]
    assert metro_row["difference"] > 0 and metro_row["runs"] == 2
    assert any("as sent" in line for line in tables["about"])
    page = await desk.operator("GET", told["page"])
    assert page.headers["content-type"].startswith("text/html") and "<!doctype html>" in page.text[:20]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    bare = await desk.http.get(
        told["page"],
        headers={
            "Authorization": f"Bearer {desk.parts.settings.operator_key}",
            "Accept-Encoding": "identity",
        },
    )
    assert bare.text == page.text and "content-encoding" not in bare.headers

    listed = (await desk.operator("GET", "/v1/rules/simulations")).json()
    assert [one["id"] for one in listed] == [told["id"]]
    assert (await desk.operator("GET", "/v1/rules/reports")).json() == []
    wrong = await desk.operator("GET", f"/v1/rules/reports/{told['id']}")
    assert (wrong.status_code, wrong.json()["code"]) == (404, "unknown_study")
    assert (await desk.operator("DELETE", f"/v1/rules/simulations/{told['id']}")).status_code == 204
    gone = await desk.operator("GET", f"/v1/rules/simulations/{told['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_study")


async def test_the_same_seed_gives_what_the_command_line_gives(desk: Api) -> None:
    told = await ended(desk, (await begun(desk, **SMALL)).json())
    mine = (await desk.operator("GET", told["tables"])).json()["tables"]["summary"]
    options = [text for name, value in SMALL.items() for text in (f"--{name}", value)]
    shown = await asyncio.to_thread(run_saxaul, "rules", "simulate", *options, "--json")
    assert mine == shown.check().json["tables"]["summary"]


async def test_traces_are_run_as_on_the_command_line(desk: Api, tmp_path: Path) -> None:
    """Steps of two people, rentals and a charging session: the same summary as the command line's, to the gram."""
    steps = (SAMPLES / "fitbit.csv").read_text()
    rides = "Starttime,Tripduration\n" + "".join(f"3/{day}/2026 8:{day},900\n" for day in range(10, 24))
    rides += "3/x/2026 8:00,900\n"
    (tmp_path / "rides.csv").write_text(rides)
    traces = [{"format": "fitbit", "text": steps}, {"format": "bike", "text": rides}]
    answer = await begun(desk, traces=traces, users=30, days=12)
    assert answer.status_code == 202, answer.text
    assert answer.json()["asked"]["traces"] == ["fitbit", "bike"]
    assert answer.json()["asked"]["population"] == "traced"
    told = await ended(desk, answer.json())
    assert told["state"] == "done" and told["total"] == 30 * 12, told
    mine = (await desk.operator("GET", told["tables"])).json()
    options = ("--trace", f"fitbit={SAMPLES / 'fitbit.csv'}", "--trace", f"bike={tmp_path / 'rides.csv'}")
    shown = await asyncio.to_thread(
        run_saxaul, "rules", "simulate", *options, "--users", 30, "--days", 12, "--json"
    )
    assert mine["tables"]["summary"] == shown.check().json["tables"]["summary"]
    assert any("trace-2-bike.csv: 1 lines left out; line 16" in line for line in mine["about"])

    told = await ended(desk, (await begun(desk, traces=traces[:1])).json())
    [users] = [row["value"] for row in await summary(desk, told) if row["measure"] == "users"]
    assert users == len({line.split(",")[0] for line in steps.splitlines()[1:]})  # each subject once


async def summary(api: Api, told: dict[str, Any]) -> list[dict[str, Any]]:
    return (await api.operator("GET", told["tables"])).json()["tables"]["summary"]


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        ({"format": "fitbit", "text": "a,b\n1,2\n"}, "trace-1-fitbit.csv"),
        ({"format": "bike", "text": "Starttime,Tripduration\n"}, "no usable row"),
        ({"format": "bike", "text": "\x00" * 100}, "trace-1-bike.csv"),
        (
            {"format": "ev", "text": "userId,kwhTotal,ended\n1,NaN,0014-11-18 17:11:04\n"},
            "not a plain number",
        ),
        (
            {"format": "ev", "text": "userId,kwhTotal,ended\n1,2,2024-11-18\n", "behaviour": "flying"},
            "flying",
        ),
    ],
)
async def test_what_is_wrong_in_a_trace_is_told(desk: Api, trace: dict[str, Any], words: str) -> None:
    told = await ended(desk, (await begun(desk, traces=[trace])).json())
    assert told["state"] == "failed" and told["problem"]["code"] == "bad_trace", told
    assert words in json.dumps(told["problem"]) and "/tmp" not in json.dumps(told)


async def test_a_trace_that_asks_for_too_much_is_refused(desk: Api) -> None:
    """Its size is known when it has been read: a charger used in 1914 makes a century of days."""
    rows = "1,2,1914-11-18 17:11:04\n2,2,2026-11-18 17:11:04\n"
    told = await ended(
        desk, (await begun(desk, traces=[{"format": "ev", "text": "userId,kwhTotal,ended\n" + rows}])).json()
    )
    assert told["problem"]["code"] == "too_costly" and told["problem"]["days"] > 40_000, told


async def test_real_users_are_run_again_beside_what_happened(api: Api) -> None:
    """Under the rulebook in force and under a changed one that is sent: forecast beside actual."""
    user = await api.open_account(province="CN-BJ")
    await api.add_source()
    await api.link(user, "sub-1")
    [accepted] = (await api.report(walk("walk-1"))).json()["results"]
    files = packed(shipped_rules())
    walking = "behaviours/green-travel/walking.yaml"
    cap = "\ncaps:\n  day_g:\n"
    lower = (
        "    2026-11-24: {value: 40, confidence: assumed, references: [saxaul-notes], because: A trial.}\n"
    )
    assert files[walking].count(cap) == 1
    files[walking] = files[walking].replace(cap, cap + lower)
    results = {}
    for name, body in (("same", {}), ("changed", {"rulebooks": [{"files": files}]})):
        answer = await begun(api, from_journal=True, **body)
        assert answer.status_code == 202, answer.text
        told = await ended(api, answer.json())
        assert told["state"] == "done" and told["asked"]["from_journal"], told
        tables = (await api.operator("GET", told["tables"])).json()["tables"]
        [row] = [row for row in tables["difference"] if row["measure"] == "issued_g"]
        results[name] = row["a"], row["b"]
    issued = accepted["energy_g"]
    assert results["same"] == (issued, issued)
    assert results["changed"] == (issued, 40)
    await api.parts.studies.close()


@pytest.mark.parametrize(
    "body",
    [
        {"users": 5},
        {"days": 5},
        {"runs": 2},
        {"start_on": "2026-01-01"},
        {"population": "city-and-town"},
        {"population_file": "x"},
        {"traces": [{"format": "ev", "text": "x"}]},
        {"rulebooks": [{}, {"edition": 1}]},
    ],
)
async def test_real_users_bring_their_own(desk: Api, body: dict[str, Any]) -> None:
    answer = await begun(desk, from_journal=True, **body)
    assert answer.status_code in (404, 422) and answer.json()["code"] in ("invalid", "unknown_edition")
    assert desk.parts.studies.all("simulation") == []


async def test_a_broken_rulebook_never_meets_the_databases_password(desk: Api) -> None:
    files = packed(shipped_rules()) | {"game.yaml": "zone: [\n"}
    answer = await begun(desk, from_journal=True, rulebooks=[{"files": files}])
    assert (answer.status_code, answer.json()["code"]) == (422, "rulebook_broken"), answer.text
    assert answer.json()["problems"][0]["file"] == "game.yaml"
    assert desk.parts.studies.all("simulation") == []


async def test_nobody_has_done_anything_yet(desk: Api) -> None:
    told = await ended(desk, (await begun(desk, from_journal=True)).json())
    assert told["problem"]["code"] == "nothing_to_report", told


async def test_a_report_reads_the_days_asked_for(api: Api) -> None:
    user = await api.open_account(province="CN-BJ")
    await api.add_source()
    await api.link(user, "sub-1")
    [accepted] = (await api.report(walk("walk-1"))).json()["results"]
    assert accepted["status"] == "accepted", accepted
    today = walk("x")["on"]
    answer = await begun(api, "reports", from_on="2026-01-01", until_on="2026-01-31")
    assert answer.status_code == 202, answer.text
    told = await ended(api, answer.json(), "reports")
    assert told["state"] == "failed" and told["problem"]["code"] == "nothing_to_report"
    late = str(int(today[:4]) + 2) + "-01-01"
    told = await ended(
        api, (await begun(api, "reports", from_on="2026-01-02", until_on=late, by="rules")).json(), "reports"
    )
    assert told["state"] == "done", told
    tables = (await api.operator("GET", told["tables"])).json()["tables"]
    [walking] = [row for row in tables["behaviours"] if row["behaviour"] == "walking"]
    assert walking["issued_g"] == accepted["energy_g"] and walking["name_zh"] == "行走"
    assert (await api.operator("GET", told["page"])).status_code == 200
    await api.parts.studies.close()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"users": 10_000, "days": 1000}, "too_costly"),
        ({"users": 10_001}, "invalid"),
        ({"users": 0}, "invalid"),
        ({"days": 1.5}, "invalid"),
        ({"days": "90"}, "invalid"),
        ({"runs": 21}, "invalid"),
        ({"seed": -1}, "invalid"),
        ({"seed": 2**53}, "invalid"),
        ({"population": "../../etc/passwd"}, "invalid"),
        ({"population": "no-such-town"}, "bad_population"),
        ({"population_file": "x" * 70_000}, "invalid"),
        ({"rulebooks": []}, "invalid"),
        ({"rulebooks": [{}, {}, {}]}, "invalid"),
        ({"rulebooks": [{"edition": 999}]}, "unknown_edition"),
        ({"rulebooks": [{"edition": 1, "files": {"game.yaml": "x"}}]}, "invalid"),
        ({"rulebooks": [{"files": {"../x.yaml": "id: x"}}]}, "invalid"),
        ({"processes": 64}, "invalid"),
        ({"traces": [{"format": "horse", "text": "x"}]}, "invalid"),
        ({"traces": [{"format": "ev", "text": ""}]}, "invalid"),
        ({"traces": [{"format": "ev", "text": "x"}] * 7}, "invalid"),
        ({"traces": [{"format": "ev", "text": "x", "path": "/etc/passwd"}]}, "invalid"),
    ],
)
async def test_hostile_wishes_are_refused_before_any_work(desk: Api, body: dict[str, Any], code: str) -> None:
    answer = await begun(desk, **body)
    assert answer.status_code in (404, 422) and answer.json()["code"] == code, answer.text
    assert desk.parts.studies.all("simulation") == []


@pytest.mark.parametrize(
    "days",
    [
        {"from_on": "2026-02-02", "until_on": "2026-02-01"},
        {"from_on": "2000-01-01", "until_on": "2026-02-01"},
        {"from_on": "2026-02-30", "until_on": "2026-03-01"},
        {"from_on": "2026-02-01"},
        {"from_on": "2026-02-01", "until_on": "2026-02-02", "by": "users"},
    ],
)
async def test_reports_are_bounded_by_days(desk: Api, days: dict[str, Any]) -> None:
    answer = await begun(desk, "reports", **days)
    assert answer.status_code == 422 and answer.json()["code"] in ("invalid", "too_costly")


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (
            {"rulebooks": [{"files": {"species/shrub.yaml": "id: &a shrub\nnames: *a\n"}}]},
            "rulebook_broken",
            "species",
        ),
        ({"population_file": "users: [" * 2_000}, "bad_population", "population.yaml"),
        ({"population_file": "a: &a [x]\nb: [*a, *a]\n"}, "bad_population", "population.yaml:1"),
        (
            {"population_file": (SHIPPED / "city-and-town.yaml").read_text().replace("metro:", "rocket:", 1)},
            "bad_population",
            "rocket",
        ),
    ],
)
async def test_what_is_wrong_in_files_is_told(desk: Api, body: dict[str, Any], code: str, words: str) -> None:
    told = await ended(desk, (await begun(desk, **SMALL, **body)).json())
    assert told["state"] == "failed" and told["problem"]["code"] == code, told
    assert words in json.dumps(told["problem"]) and told["problem"]["title"]


async def test_only_an_operator_may(desk: Api) -> None:
    for bearer, status in ((None, 401), ("wrong", 401), (desk.parts.settings.server_key, 403)):
        for method, path in (
            ("POST", "simulations"),
            ("POST", "reports"),
            ("GET", "simulations"),
            ("GET", f"simulations/00000000-{new_key()}"),
            ("DELETE", f"simulations/00000000-{new_key()}"),
        ):
            answer = await desk.call(method, f"/v1/rules/{path}", {} if method == "POST" else None, bearer)
            assert answer.status_code == status, (method, path)


async def test_stopping_ends_the_process_and_frees_the_turn(desk: Api) -> None:
    told = (await begun(desk, users=2_000, days=200, runs=1)).json()
    waits = (await begun(desk, **SMALL)).json()
    while not (now := (await desk.operator("GET", f"/v1/rules/simulations/{told['id']}")).json())["done"]:
        assert now["state"] in ("waiting", "running")
        await asyncio.sleep(0.1)
    assert 0 < now["done"] < now["total"] == 400_000
    assert len(children()) == 1
    assert (await desk.operator("DELETE", f"/v1/rules/simulations/{told['id']}")).status_code == 204
    assert (await ended(desk, waits))["state"] == "done"
    assert children() == []


def children() -> list[str]:
    """Processes of ours that work on studies."""
    shown = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    ).stdout
    return [line for line in shown.splitlines() if "study_child" in line]


async def test_a_report_does_not_wait_for_a_simulation(desk: Api) -> None:
    long = (await begun(desk, users=2_000, days=200, runs=1)).json()
    told = (await begun(desk, "reports", from_on="2026-01-01", until_on="2026-01-02")).json()
    assert (await ended(desk, told, "reports"))["problem"]["code"] == "nothing_to_report"
    assert (await desk.operator("GET", f"/v1/rules/simulations/{long['id']}")).json()["state"] == "running"


async def test_more_than_a_few_that_wait_are_refused(desk: Api) -> None:
    answers = [await begun(desk, users=2_000, days=200, runs=1) for _ in range(studies.WAITING_MAX + 2)]
    assert [one.status_code for one in answers] == [202] * (studies.WAITING_MAX + 1) + [503]
    assert answers[-1].json()["code"] == "overloaded" and "Retry-After" in answers[-1].headers


async def test_what_another_process_knew_is_said_to_be_lost(desk: Api) -> None:
    told = (await begun(desk, **SMALL)).json()
    started_anew = Studies()
    with pytest.raises(Rejected, match="study_lost"):
        started_anew.get("simulation", told["id"])
    lost = await desk.operator("GET", f"/v1/rules/simulations/00000000-{new_key()}")
    assert (lost.status_code, lost.json()["code"]) == (410, "study_lost")
    for name in ("x", "../rules", told["id"] + "0", told["id"].upper() + "é"):
        assert (await desk.operator("GET", f"/v1/rules/simulations/{name}")).status_code in (404, 422), name


async def test_results_are_kept_in_a_bounded_number_and_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch, desk: Api
) -> None:
    monkeypatch.setattr(studies, "KEPT_MAX", 1)
    first = await ended(desk, (await begun(desk, **SMALL)).json())
    second = await ended(desk, (await begun(desk, **SMALL, seed=2)).json())
    assert [one["id"] for one in (await desk.operator("GET", "/v1/rules/simulations")).json()] == [
        second["id"]
    ]
    assert (await desk.operator("GET", f"/v1/rules/simulations/{first['id']}")).status_code == 404
    monkeypatch.setattr(studies, "KEPT_S", 0.0)
    await asyncio.sleep(0.01)
    assert (await desk.operator("GET", "/v1/rules/simulations")).json() == []


async def test_impatience_ends_it_and_says_so(desk: Api) -> None:
    place = Studies(patience_s=0.2)
    study, _ = place.start("simulation", new_key(), {}, {"rulebooks": []})
    assert study.task is not None
    await study.task
    assert study.state == "failed" and study.problem == {"code": "too_costly", "patience_s": 0.2}
    await place.close()


async def test_a_fault_of_our_own_is_not_called_too_costly() -> None:
    place = Studies()
    study, _ = place.start("simulation", new_key(), {}, {"rulebooks": []})
    assert study.task is not None
    await study.task
    assert study.state == "failed" and study.problem == {"code": "internal"}


async def test_a_child_ends_with_its_parent() -> None:
    """As when the engine is killed: the pipe closes, and nobody works on for nobody."""
    job = {
        "kind": "simulation",
        "rulebooks": [{"name": "in force", "files": None}],
        "folder": None,
        "population": "city-and-town",
        "population_file": None,
        "traces": [],
        "limits": {"users_max": 5_000, "days_max": 300, "user_days_max": 1_500_000},
        "start": None,
        "users": 5_000,
        "days": 300,
        "runs": 1,
        "seed": 1,
    }
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "engine.workbench.study_child"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(json.dumps(job).encode() + b"\n")
    assert "done" in json.loads(await child.stdout.readline())
    child.stdin.close()
    async with asyncio.timeout(10):
        assert await child.wait() == 1


async def test_a_proposed_edition_is_compared_on_a_served_engine(sqlite_url: str) -> None:
    async with served(sqlite_url) as desk:
        await desk.post("/editions", 201, files=changed(60))
        body = {"rulebooks": [{"edition": 1}, {"edition": 2}], "users": 10, "days": 3, "runs": 2}
        answer = await desk.call("POST", "/simulations", body)
        assert answer.status_code == 202, answer.text
        told, deadline = answer.json(), time.monotonic() + 60
        assert told["asked"]["rulebooks"] == ["edition 1", "edition 2"]
        while told["state"] != "done":
            assert told["state"] in ("waiting", "running") and time.monotonic() < deadline, told
            await asyncio.sleep(0.1)
            told = await desk.get(f"/simulations/{told['id']}")
        tables = (await desk.call("GET", f"/simulations/{told['id']}/tables")).json()["tables"]
        assert {row["stands_out"] for row in tables["difference"]} == {"no"}
        long = await desk.call("POST", "/simulations", {"users": 2_000, "days": 250})
        assert long.status_code == 202
    assert children() == []  # the engine has ended, and with it what it began
