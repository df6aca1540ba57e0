"""The workbench over HTTP: files that are sent can cost a child process something, the engine nothing."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.core.errors import Rejected
from engine.rulebook import shipped_rules
from engine.workbench import apart
from engine.workbench.apart import Apart
from engine.workbench.child import work_out
from tests.api.conftest import Api, walk
from tests.rules.pack import FILES, SAVING


def shipped_files() -> dict[str, str]:
    root = shipped_rules()
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.yaml")}


async def post(api: Api, path: str, **body: Any) -> Any:
    return await api.operator("POST", f"/v1/rules/{path}", body)


async def test_a_rulebook_that_is_sent_is_checked(lite: Api) -> None:
    told = (await post(lite, "check", files=FILES, on="2026-11-25")).json()
    assert told["ok"] and told["behaviours"] == 1 and len(told["hash"]) == 64
    assert any("never confirmed" in warning for warning in told["warnings"])
    bad = FILES | {"species/shrub.yaml": "id: &a shrub\nnames: *a\n"}
    told = (await post(lite, "check", files=bad)).json()
    assert not told["ok"]
    assert {(one["file"], one["line"]) for one in told["problems"]} == {
        ("species/shrub.yaml", 1),
        ("species/shrub.yaml", 2),
    }
    assert all(one["fix"] for one in told["problems"])


async def test_two_rulebooks_are_compared(lite: Api) -> None:
    after = FILES | {SAVING: FILES[SAVING].replace("until", "until").replace("value: 2/3", "value: 1")}
    told = (await post(lite, "diff", before=FILES, after=after, on="2026-11-25")).json()
    assert told["backdated"] and [one["path"] for one in told["changes"]] == ["energy.grams_per_unit"]
    mine = shipped_files()
    text = mine["behaviours/green-travel/metro.yaml"].replace("value: 52", "value: 60")
    mine["behaviours/green-travel/metro.yaml"] = text.replace("energy_g: 52", "energy_g: 60")
    told = (await post(lite, "diff", after=mine)).json()
    assert {one["id"] for one in told["changes"]} == {"metro"} and told["effects"]
    broken = await post(lite, "diff", before=FILES, after=FILES | {SAVING: "id: saving\n"})
    assert broken.status_code == 422 and broken.json()["code"] == "rulebook_broken"
    assert broken.json()["rulebook"] == "after" and broken.json()["problems"][0]["file"] == SAVING


@pytest.mark.parametrize(
    "name",
    ["../x.yaml", "/etc/x.yaml", "a/../../x.yaml", "game.yml", "A.yaml", "a/b/c/d.yaml", ".yaml", "a\0.yaml"],
)
async def test_names_lead_nowhere_else(lite: Api, name: str) -> None:
    refused = await post(lite, "check", files={name: "id: x"})
    assert refused.status_code == 422 and refused.json()["code"] == "invalid"


def test_the_child_trusts_no_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="out of the folder"):
        work_out({"job": "check", "today": "2026-11-25", "folder": None, "after": {"../../x.yaml": "id: x"}})


async def test_what_is_too_large_is_refused_before_any_work(lite: Api) -> None:
    large = await post(lite, "check", files={"game.yaml": "x" * 300_000})
    assert large.status_code == 422
    huge = await post(lite, "check", files={f"species/s{n}.yaml": "x" * 250_000 for n in range(5)})
    assert huge.status_code == 413 and huge.json()["code"] == "body_too_large"


async def test_only_an_operator_may(lite: Api) -> None:
    for bearer, status in ((None, 401), ("wrong", 401), (lite.parts.settings.server_key, 403)):
        assert (await lite.call("GET", "/v1/rules/spread", None, bearer)).status_code == status
        assert (await lite.call("POST", "/v1/rules/check", {"files": FILES}, bearer)).status_code == status


async def test_an_act_is_explained_or_refused_as_the_game_would(lite: Api) -> None:
    body = {"behaviour": "metro", "quantity": "1", "province": "CN-BJ", "on": "2026-11-22", "lang": "zh"}
    told = (await post(lite, "explain", **body, attributes={"distance_km": "7.5"})).json()
    assert (told["energy_g"], told["avoided_mg"], told["agrees"]) == (52, 394_602, True)
    assert told["steps"][0].startswith("地铁出行")
    refused = await post(lite, "explain", behaviour="metro", quantity="2")
    assert refused.status_code == 422 and refused.json()["code"] == "quantity_out_of_range"
    for wrong in (
        {"quantity": "NaN"},
        {"quantity": "1e9"},
        {"on": "2026-02-30"},
        {"lang": "xx"},
        {"unit": "x" * 65},
    ):
        answer = await post(lite, "explain", **{"behaviour": "metro", "quantity": "1"} | wrong)
        assert answer.status_code == 422 and answer.json()["code"] == "invalid", wrong


async def test_spread_and_schemas(lite: Api) -> None:
    told = (await lite.operator("GET", "/v1/rules/spread?behaviour=bus")).json()
    assert [act["act"] for act in told["acts"]] == ["bus-ride"] and told["acts"][0]["ratio"] == "2.019"
    assert len((await lite.operator("GET", "/v1/rules/spread")).json()["acts"]) >= 9
    assert (await lite.operator("GET", "/v1/rules/spread?behaviour=flying")).status_code == 422
    schema = (await lite.operator("GET", "/v1/rules/schemas/behaviour")).json()
    assert schema["$id"] == "saxaul/behaviour.schema.json" and "energy" in schema["properties"]
    assert (await lite.operator("GET", "/v1/rules/schemas/nothing")).status_code == 404


async def test_impatience_ends_the_child_and_says_so() -> None:
    begun = time.monotonic()
    with pytest.raises(Rejected, match="too_costly"):
        await Apart(patience_s=0.05).work_out(
            {"job": "check", "today": "2026-11-25", "folder": None, "after": FILES}
        )
    assert time.monotonic() - begun < 5


async def test_a_child_that_dies_is_told_and_the_next_one_works() -> None:
    place = Apart()
    with pytest.raises(Rejected, match="too_costly"):
        await place.work_out({"job": "check", "today": "no day", "folder": None, "after": FILES})
    job = {"job": "check", "today": "2026-11-25", "folder": None, "after": FILES}
    assert (await place.work_out(job))["ok"]


async def test_more_than_a_few_that_wait_are_refused() -> None:
    place = Apart()
    job = {"job": "check", "today": "2026-11-25", "folder": None, "after": {"game.yaml": "life_h: 1\n"}}
    answers = await asyncio.gather(
        *(place.work_out(job) for _ in range(apart.WAITING_MAX + 3)), return_exceptions=True
    )
    refused = [one for one in answers if isinstance(one, Rejected)]
    assert [one.code for one in refused] == ["overloaded"] * 2
    assert all(not one["ok"] for one in answers if isinstance(one, dict))


async def test_routes_are_described_with_their_refusals(lite: Api) -> None:
    described = (await lite.http.get("/openapi.json")).json()
    paths = {path: item for path, item in described["paths"].items() if path.startswith("/v1/rules")}
    assert set(paths) >= {f"/v1/rules/{name}" for name in ("check", "diff", "explain", "spread")}
    for path, item in paths.items():
        for operation in item.values():
            assert operation["description"] and operation["security"], path
            for status, response in operation["responses"].items():
                if status == "204":
                    assert "content" not in response
                    continue
                fine = "text/html" if path.endswith("/page") else "application/json"
                wanted = fine if status.startswith("2") else "application/problem+json"
                assert list(response["content"]) == [wanted], (path, status)


async def test_what_is_explained_is_what_was_booked(lite: Api) -> None:
    """The trace of a ball that a source's report made is the one that the workbench tells beforehand."""
    await lite.add_source(behaviours=("metro", "walking"))
    user = await lite.open_account(province="CN-BJ")
    await lite.link(user, "sub-1")
    at = datetime.now(UTC).isoformat()
    ride = {"id": "r", "subject": "sub-1", "behaviour": "metro", "at": at, "quantity": 1, "unit": "ride"}
    steps = walk("w", steps=7_321)
    answers = (await lite.report(ride | {"attributes": {"distance_km": 7.5}}, steps)).json()["results"]
    on = datetime.now(UTC).astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat()
    for answer, item in zip(answers, (ride | {"attributes": {"distance_km": "7.5"}}, steps), strict=True):
        told = await post(
            lite,
            "explain",
            behaviour=item["behaviour"],
            quantity=str(item["quantity"]),
            on=on,
            province="CN-BJ",
            attributes=item.get("attributes", {}),
        )
        ball = (await lite.operator("GET", f"/v1/balls/{answer['ball']}/explain")).json()
        assert (told.json()["booked_g"], told.json()["avoided_mg"]) == (
            answer["energy_g"],
            answer["avoided_mg"],
        )
        told_trace, ball_trace = told.json()["trace"], ball["calculation"]
        for half in ("energy", "avoided"):
            assert {**ball_trace[half], **told_trace[half]} == ball_trace[half]


HOSTILE = {
    "alias bomb": "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(200)),
    "deep nesting": "[" * 100_000,
    "deep lists": "- " * 50_000 + "x",
    "equal keys": "id: x\n" * 20_000,
    "a tag": "id: !!python/object/apply:os.system [id]\n",
    "many keys": "".join(f"k{n}: {n}\n" for n in range(18_000)),
    "surprises": "id: NO\nnames: {zh: on, en: 12:30:45}\nunit: .nan\n",
    "zero bytes": "id: \0\n",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_files_cost_a_child_something_and_the_engine_nothing(lite: Api, name: str) -> None:
    """While a hostile file is read, the loop that serves sockets never stands still for long."""
    late: list[float] = []

    async def heart() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.01)
            late.append(time.perf_counter() - begun - 0.01)

    beating = asyncio.create_task(heart())
    answer = await post(lite, "check", files=FILES | {"species/shrub.yaml": HOSTILE[name]})
    beating.cancel()
    told = answer.json()
    assert answer.status_code == 200 and not told["ok"], told
    assert any(one["file"] == "species/shrub.yaml" for one in told["problems"])
    assert sorted(late)[len(late) * 9 // 10] < 0.1, max(late)
