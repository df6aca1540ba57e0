"""Rulebooks over HTTP, on a served engine: the whole course, refusals as problems, and who may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from engine.core.editions import FOLDER
from engine.main import serving
from engine.rulebook import shipped_rules
from engine.rulefiles.packing import packed
from engine.settings import Settings, SettingsError
from tests.api.conftest import OPERATOR_KEY, SERVER_KEY, TOKEN_SECRET, new_key

SHIPPED = packed(shipped_rules())
GAME = SHIPPED["game.yaml"]
CHANGED = SHIPPED | {"game.yaml": GAME + "# another day, another comment\n"}
LATER = "2099-01-01"


def changed(hours: int) -> dict[str, str]:
    """The shipped rulebook with another life of balls, far ahead."""
    line = (
        f"  {LATER}: {{value: {hours}, confidence: assumed, references: [saxaul-notes], because: A trial.}}\n"
    )
    assert GAME.count("\nlife_h:\n") == 1
    return SHIPPED | {"game.yaml": GAME.replace("\nlife_h:\n", f"\nlife_h:\n{line}")}


class Desk:
    """Calls of a served engine."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        bearer: str | None = OPERATOR_KEY,
        key: str | None = None,
    ) -> httpx.Response:
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        if method == "POST":
            headers["Idempotency-Key"] = key or new_key()
        return await self.http.request(method, f"/v1/rules{path}", json=body, headers=headers)

    async def get(self, path: str = "") -> Any:
        response = await self.call("GET", path)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        response = await self.call("POST", path, {"by": "lin", "why": "a trial"} | body)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == (
            "application/json" if status < 300 else "application/problem+json"
        )
        return response.json()


LIN, ANA = "lin-" + "l" * 40, "ana-" + "a" * 40


@asynccontextmanager
async def served(url: str, **fields: Any) -> AsyncIterator[Desk]:
    settings = Settings(
        _env_file=None,
        database_url=url,
        port=0,
        server_key=SERVER_KEY,
        operator_key=OPERATOR_KEY,
        token_secret=TOKEN_SECRET,
        **fields,
    )
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(settings))
        client = httpx.AsyncClient(base_url=f"http://{server.address}", timeout=20)
        yield Desk(await stack.enter_async_context(client))


@pytest_asyncio.fixture
async def desk(sqlite_url: str) -> AsyncIterator[Desk]:
    async with served(sqlite_url) as made:
        yield made


async def test_the_whole_course(database_url: str) -> None:
    async with served(database_url) as desk:
        start = await desk.get()
        assert start["in_force"]["origin"] == FOLDER and start["waiting"] == []
        told = await desk.post("/editions", 201, files=changed(70), share_pct=5.5)
        assert (told["state"], told["share_pct"], told["salt"]) == (
            "proposed",
            5.5,
            f"edition-2-{told['rulebook'][:16]}",
        )
        assert (await desk.get())["waiting"][0]["edition"] == 2
        own = await desk.call("POST", "/editions/2/approve", {"by": "Lin"})
        assert (own.status_code, own.json()["code"]) == (403, "own_proposal")
        approved = await desk.call("POST", "/editions/2/approve", {"by": "ana"})
        assert approved.status_code == 200, approved.text
        files = await desk.get("/editions/2/files")
        assert files == {"rulebook": told["rulebook"], "files": changed(70)}
        newest = (await desk.get("/editions?limit=1"))[0]
        assert newest["edition"] == 2 and newest["approved_by"] == "ana"
        busy = await desk.post("/editions", 409, files=changed(71))
        assert busy["code"] == "canary_running" and busy["edition"] == 2
        back = await desk.post("/rollback")
        assert back["edition"] == 2 and "until_at" in back


async def test_withdraw_promote_and_retries(desk: Desk) -> None:
    await desk.post("/editions", 201, files=changed(70))
    gone = await desk.post("/editions/2/withdraw")
    assert (gone["state"], gone["ended_by"]) == ("withdrawn", "lin")
    assert (await desk.post("/editions/2/withdraw", 409))["code"] == "not_running"
    key = new_key()
    body = {"by": "lin", "why": "w", "files": changed(71), "share_pct": 50}
    first = await desk.call("POST", "/editions", body, key=key)
    again = await desk.call("POST", "/editions", body, key=key)
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (
        201,
        first.json(),
        "true",
    )
    other = await desk.call("POST", "/editions", body | {"why": "other"}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert (await desk.call("POST", "/editions/3/approve", {"by": "ana"})).status_code == 200
    promoted = await desk.call("POST", "/editions/3/promote", {"by": "ana", "why": "good"})
    assert promoted.json()["edition"] == 4 and promoted.json()["proposed_by"] == "lin"
    assert (await desk.post("/rollback"))["same_as"] == 1


async def test_a_broken_rulebook_is_told_file_by_file_and_changes_nothing(desk: Desk) -> None:
    before = await desk.get()
    problem = await desk.post("/editions", 422, files=SHIPPED | {"game.yaml": "life_h: NaN"})
    assert problem["code"] == "rulebook_broken" and problem["count"] >= len(problem["problems"]) > 0
    assert {"file", "line", "path", "found", "expected", "fix"} == set(problem["problems"][0])
    for path in ("../../etc/x.yaml", "/game.yaml", "a/b/c/d/e.yaml"):
        told = await desk.post("/editions", 422, files=SHIPPED | {path: "id: x"})
        assert told["code"] == "rulebook_broken"
    same = await desk.post("/editions", 409, files=CHANGED)
    assert same["code"] == "already_in_force"
    gone = min(name for name in SHIPPED if name.startswith("programmes/"))
    edited = {name: text for name, text in SHIPPED.items() if name != gone}
    told = await desk.post("/editions", 409, files=edited)
    assert told["code"] == "edited_in_place" and "the file is gone" in told["edited"][0]
    reason = {"edited_in_place": "the partner is gone"}
    kept = await desk.post("/editions", 201, files=edited, overrides=reason)
    assert kept["overrides"] == [{"refusal": "edited_in_place", "by": "lin", "reason": "the partner is gone"}]
    after = await desk.get()
    assert after["in_force"] == before["in_force"] and len(after["waiting"]) == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"files": {}}, 422),
        ({"files": {"game.yaml": 5}}, 422),
        ({"files": "game.yaml"}, 422),
        ({"files": {"game.yaml": "x" * 300_000}}, 422),
        ({"files": {f"factors/x{n}.yaml": "" for n in range(1_001)}}, 422),
        ({"why": ""}, 422),
        ({"by": "\u202elin"}, 422),
        ({"share_pct": 0}, 422),
        ({"share_pct": 101}, 422),
        ({"share_pct": 0.001}, 422),
        ({"share_pct": 5.123}, 422),
        ({"from_at": "tomorrow"}, 422),
        ({"from_at": "2020-01-01T00:00:00Z"}, 400),
        ({"overrides": {"own_proposal": "please"}}, 422),
        ({"unknown": 1}, 422),
    ],
)
async def test_bad_proposals_are_refused(desk: Desk, fields: dict[str, Any], status: int) -> None:
    body = {"by": "lin", "why": "w", "files": changed(70)} | fields
    response = await desk.call("POST", "/editions", body)
    assert response.status_code == status, response.text
    assert (await desk.get())["waiting"] == []


async def test_only_operators_see_and_publish(desk: Desk) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/editions"),
        ("GET", "/editions/1/files"),
        ("POST", "/editions"),
        ("POST", "/editions/1/approve"),
        ("POST", "/editions/1/promote"),
        ("POST", "/editions/1/withdraw"),
        ("POST", "/rollback"),
    ):
        for bearer, status in ((None, 401), ("wrong", 401), (SERVER_KEY, 403)):
            assert (
                await desk.call(method, path, {} if method == "POST" else None, bearer)
            ).status_code == status


async def test_unknown_editions(desk: Desk) -> None:
    for path in ("/editions/77/approve", "/editions/77/promote", "/editions/77/withdraw"):
        response = await desk.call("POST", path, {"by": "ana"} | ({} if "approve" in path else {"why": "w"}))
        assert (response.status_code, response.json()["code"]) == (404, "unknown_edition")
    assert (await desk.call("GET", "/editions/77/files")).status_code == 404
    assert (await desk.post("/rollback", 409))["code"] == "nothing_earlier"
    assert (await desk.post("/rollback", 404, to=9))["code"] == "unknown_edition"
    assert (await desk.call("GET", "/editions/0/files")).status_code == 422


async def test_a_persons_own_key_says_who_they_are(sqlite_url: str) -> None:
    async with served(sqlite_url, operators={"lin": LIN, "ana": ANA}) as desk:
        body = {"by": "lin", "why": "w", "files": changed(70)}
        for bearer in (OPERATOR_KEY, ANA):
            refused = await desk.call("POST", "/editions", body, bearer)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert (await desk.call("GET", "", None, LIN)).status_code == 200
        assert (await desk.call("GET", "", None, OPERATOR_KEY)).status_code == 200
        assert (await desk.call("POST", "/editions", body, LIN)).status_code == 201
        for by, bearer, status, code in (
            ("ana", LIN, 403, "forbidden"),
            ("ana", OPERATOR_KEY, 403, "forbidden"),
            ("lin", LIN, 403, "own_proposal"),
        ):
            refused = await desk.call("POST", "/editions/2/approve", {"by": by}, bearer)
            assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert (await desk.call("POST", "/editions/2/approve", {"by": "Ana"}, ANA)).status_code == 200


@pytest.mark.parametrize(
    "operators",
    [
        {"lin": LIN, "Lin ": ANA},
        {"lin": LIN, "ana": LIN},
        {"lin": OPERATOR_KEY},
        {"lin": "short"},
        {" ": LIN},
    ],
)
def test_operators_have_names_and_keys_of_their_own(operators: dict[str, str]) -> None:
    settings = Settings(_env_file=None, operator_key=OPERATOR_KEY, server_key=SERVER_KEY, operators=operators)
    with pytest.raises(SettingsError, match="SAXAUL_OPERATORS"):
        settings.check()
