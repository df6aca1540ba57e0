"""Onboarding files: the sample, what is wrong with others, what a second run does, and no address but in its table."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from engine.rulefiles.reading import read_document
from partners.core.records import commands as r
from partners.onboarding.file import OnboardingError, parse_onboarding, read_onboarding
from partners.onboarding.run import Onboarded, onboard, standing_of
from partners.store import record_queries
from tests.partners.bench import Bench, open_bench
from tests.partners.test_api import site

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "onboarding" / "green-desert.yaml"
ADDRESS = "orders@green-desert.example"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


async def carried_out(bench: Bench, path: Path = SAMPLE) -> Onboarded:
    file, document = read_onboarding(path)
    async with bench.db.snapshot() as view:
        standing = await standing_of(view, file)
    return await onboard(file, document, "li", standing, bench.writer.submit_all)


async def everything(bench: Bench) -> list[Any]:
    tables = (
        "partner_records",
        "contacts",
        "agreements",
        "sites",
        "site_versions",
        "species_offers",
        "quotas",
    )
    return [await bench.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]


async def test_the_sample_is_carried_out_and_a_second_time_changes_nothing(url: str) -> None:
    async with open_bench(url, has_records=False) as bench:
        first = await carried_out(bench)
        assert (first.partner, first.refused) == ("green-desert", "")
        before = await everything(bench)
        assert [len(rows) for rows in before] == [1, 3, 1, 1, 1, 2, 2]
        [(journal,)] = await bench.rows("SELECT count(*) FROM journal")
        assert (await carried_out(bench)).refused == ""
        assert await everything(bench) == before
        assert await bench.rows("SELECT count(*) FROM journal") == [(journal,)]
        async with bench.db.snapshot() as view:
            told = await record_queries.partner(view, "green-desert")
            people = await record_queries.contacts(view, "green-desert")
        assert told is not None
        assert (told["status"], told["agreement"], told["contacts"]) == ("active", "green-desert/1", 3)
        assert [(one["role"], one["place"]) for one in people] == [
            ("orders", 1),
            ("orders", 2),
            ("reports", 1),
        ]


async def test_an_address_is_in_one_table_and_nowhere_else(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_bench(url, has_records=False) as bench:
        await carried_out(bench)
        names = [
            name
            for (name,) in await bench.rows(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
                if bench.db.dialect == "sqlite"
                else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            )
        ]
        holding = [name for name in names if ADDRESS in repr(await bench.rows(f'SELECT * FROM "{name}"'))]
        assert holding == ["contacts"]
        assert ADDRESS not in repr(bench.audience.items)
    ours = [record for record in caplog.records if record.name.startswith(("engine", "partners"))]
    assert ADDRESS not in "".join(record.getMessage() for record in ours)


async def test_a_file_undoes_no_decision(url: str) -> None:
    async with open_bench(url, has_records=False) as bench:
        await carried_out(bench)
        await bench.do(r.MovePartner(None, "li", "green-desert", "suspended", "photos used twice"))
        await bench.do(r.MoveSite(None, "li", "minqin-east", "retired", "sold"))
        assert (await carried_out(bench)).refused == ""
        assert await bench.rows("SELECT status FROM partner_records") == [("suspended",)]
        assert await bench.rows("SELECT status FROM sites") == [("retired",)]


async def test_it_stops_at_the_line_that_is_refused_and_goes_on_when_it_is_mended(
    url: str, tmp_path: Path
) -> None:
    text = SAMPLE.read_text("utf-8")
    (tmp_path / "minqin-east.geojson").write_text(SAMPLE.with_name("minqin-east.geojson").read_text("utf-8"))
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        text.replace("species: saxaul, season: 2027-spring", "species: saxaul, season: 2027-summer")
    )
    async with open_bench(url, has_records=False) as bench:
        done = await carried_out(bench, broken)
        line = next(no for no, row in enumerate(broken.read_text().splitlines(), 1) if "2027-summer" in row)
        assert done.refused.startswith(f"broken.yaml:{line}:quotas[1]: unknown_season")
        assert done.done == 14
        broken.write_text(text)
        assert (await carried_out(bench, broken)).refused == ""
        assert await bench.rows("SELECT count(*) FROM quotas") == [(2,)]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tier: 2", "tier: high", "a whole number"),
        ("kind: ngo", "kind: friend", "one of"),
        ("country: CN", "contry: CN", "did you mean country?"),
        ("expires_on: 2036-06-30", "expires_on: 30.06.2029", "a day such as"),
        ("opens: 03-10", "opens: 02-30", "a day of any year"),
        ("native: true", "native: yes", "true or false"),
        ("geometry: minqin-east.geojson", "geometry: nowhere.geojson", "a GeoJSON file beside this one"),
        ("geometry: minqin-east.geojson", 'geometry: \'{"type": "Point"}\'', "a Polygon, a MultiPolygon"),
        ("geometry: minqin-east.geojson", "geometry: '{{'", "GeoJSON"),
        ("  minimum_trees: 20\n", "", "no key 'minimum_trees'"),
        ("partner:\n", "partner: &a\n", "the anchor"),
        ("tier: 2", "tier: 2\n  tier: 3", "twice"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = SAMPLE.read_text("utf-8")
    assert old in text
    (tmp_path / "minqin-east.geojson").write_text(SAMPLE.with_name("minqin-east.geojson").read_text("utf-8"))
    path = tmp_path / "file.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(OnboardingError, match=told) as problem:
        read_onboarding(path)
    assert all(line.startswith("file.yaml:") for line in str(problem.value).splitlines())


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"{", b"[]", b"a: " * 10_000, b"x" * 300_000, b"partner: {id: x}"]
)
def test_hostile_bytes_are_told_and_nothing_else(data: bytes) -> None:
    with pytest.raises(OnboardingError):
        parse_onboarding(data, "sent")


def test_polygons_of_all_kinds_become_one_multipolygon(tmp_path: Path) -> None:
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    many = {"type": "MultiPolygon", "coordinates": [[ring], [ring]]}
    kinds = [
        (polygon, 1),
        (many, 2),
        ({"type": "Feature", "geometry": polygon}, 1),
        (
            {
                "type": "FeatureCollection",
                "features": [{"type": "Feature", "geometry": polygon}, {"type": "Feature", "geometry": many}],
            },
            3,
        ),
    ]
    text = SAMPLE.read_text("utf-8")
    (tmp_path / "file.yaml").write_text(text)
    for shape, parts in kinds:
        (tmp_path / "minqin-east.geojson").write_text(json.dumps(shape))
        file, _ = read_onboarding(tmp_path / "file.yaml")
        told = json.loads(file.sites[0].geometry)
        assert (told["type"], len(told["coordinates"])) == ("MultiPolygon", parts)
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [0, 0]}}
    mixed = {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": polygon}, point]}
    (tmp_path / "minqin-east.geojson").write_text(json.dumps(mixed))
    with pytest.raises(OnboardingError):  # a part that is left out silently would be a smaller site
        read_onboarding(tmp_path / "file.yaml")


# --- HTTP -----------------------------------------------------------------------------------------


async def test_an_operator_onboards_looks_and_moves_over_http(tmp_path: Path) -> None:
    geometry = SAMPLE.with_name("minqin-east.geojson").read_text("utf-8").strip()
    document, _ = read_document(SAMPLE, SAMPLE.name)
    assert document is not None
    told: Any = document.tree
    told["sites"][0]["geometry"] = geometry
    body = json.dumps(told)
    json_type = {"content-type": "application/json"}
    headers = {"authorization": "Bearer operator-key-" + "o" * 40} | json_type
    async with site(tmp_path) as world:
        nobody = await world.http.post("/v1/onboarding", content=body, headers=json_type)
        assert nobody.status_code == 401
        sent = await world.http.post("/v1/onboarding", content=body.encode(), headers=headers)
        assert sent.json() == {"partner": "green-desert", "done": 15, "refused": ""}, sent.text
        wrong = await world.http.post("/v1/onboarding", content=b'{"partner": {}}', headers=headers)
        assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_record")
        told = (await world.operator("GET", "/v1/partners/green-desert")).json()
        assert (told["status"], told["contacts"]) == ("active", 3)
        pages = [
            "/v1/partners",
            "/v1/agreements",
            "/v1/sites",
            "/v1/quotas?partner=green-desert",
            "/v1/waiting",
        ]
        pages += ["/v1/allocations", "/v1/sites/minqin-east/geometry", "/v1/partners/green-desert"]
        for page in pages:
            shown = await world.operator("GET", page)
            assert shown.status_code == 200, page
            assert "green-desert.example" not in shown.text
            assert (await world.http.get(page)).status_code == 401
        moved = await world.operator("POST", "/v1/partners/green-desert/move", {"status": "suspended"})
        assert (moved.status_code, moved.json()["code"]) == (422, "bad_record")
        moved = await world.operator(
            "POST", "/v1/partners/green-desert/move", {"status": "suspended", "reason": "photos used twice"}
        )
        assert moved.json()["status"] == "suspended"
        quota = {"site": "minqin-east", "species": "saxaul", "season": "2027-spring", "capacity": 7}
        assert (await world.operator("PUT", "/v1/quotas", quota)).json()["free"] == 7
        asked = {"partner": "simulator-ngo", "species": "saxaul", "site": "saxaul-alxa", "trees": 5}
        order = (await world.operator("POST", "/v1/test-orders", asked)).json()
        found = (await world.operator("GET", f"/v1/orders/{order['order']}")).json()
        assert (found["kind"], found["lines"][0]["ordered"]) == ("test", 5)
        refused = await world.operator("POST", "/v1/test-orders", asked | {"partner": "green-desert"})
        assert refused.json()["code"] == "partner_blocked"
        assert (await world.operator("GET", "/v1/partners/nobody")).status_code == 404
