"""The open data: each file keeps to its published schema, says what the pages say, and streams whole."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.core.numbers import order_number
from partners.public import columns, exports
from partners.public.exports import Exports, _cell
from partners.store import public_queries
from tests.partners.bench import PROGRAMME
from tests.partners.public.town import FILES, Town, planted_with, site_command, town
from tests.partners.test_after_checks import life

KINDS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "double": float,
    "date": date.fromisoformat,
    "boolean": {"true": True, "false": False}.__getitem__,
    "anyURI": lambda text: re.fullmatch(r"/v1/\S+", text).group(),  # type: ignore[union-attr]
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def lite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/game.db"


async def table(at: Town, name: str) -> list[dict[str, Any]]:
    """The rows of a CSV file, read as its published schema says."""
    tables = (await at.read("/v1/registry/data/tables.json"))["tables"]
    [about] = [one["tableSchema"] for one in tables if one["url"] == name]
    text = (await at.get(f"/v1/registry/data/{name}")).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    declared = {one["name"]: one for one in about["columns"]}
    assert set(rows[0]) == set(declared)
    read = [{key: _value(declared[key], value) for key, value in row.items()} for row in rows]
    keys = [tuple(row[key] for key in about["primaryKey"]) for row in read]
    assert len(set(keys)) == len(keys)
    return read


def _value(column: dict[str, Any], value: str) -> Any:
    if value == "":
        assert not column["required"], column["name"]
        return None
    return KINDS[column["datatype"]](value)


async def test_every_file_keeps_to_its_schema(url: str) -> None:
    async with town(url) as at:
        about = await life(at.bench)
        order = await planted_with(at.bench)
        await at.bench.do(site_command("north", county="民勤", shown_m=100))
        for name in FILES:
            if name.endswith(".csv"):
                assert await table(at, name), name
                continue
            found = await at.read(f"/v1/registry/data/{name}")
            schema = await at.read(f"/v1/registry/data/{name.removesuffix('.geojson')}.schema.json")
            Draft202012Validator.check_schema(schema)
            assert list(Draft202012Validator(schema).iter_errors(found)) == [], name
            assert found["features"]
        orders = {row["order"]: row for row in await table(at, "orders.csv")}
        assert len(orders) == 4
        child = orders[order_number(about["child"])]
        assert (child["kind"], child["replaces_order"]) == ("replacement", order_number(about["order"]))
        batches = await table(at, "batches.csv")
        shown = await at.read(f"/v1/registry/batches/{order_number(order)}/1")
        [row] = [one for one in batches if one["batch"] == shown["batch"]]
        for name in (
            "reported",
            "verified",
            "review",
            "season",
            "planted_to_on",
            "evidence_files",
            "claimed",
        ):
            assert str(row[name]) == str(shown[name]), name
        [counted] = [row for row in await table(at, "counters.csv") if row["programme"] == PROGRAMME]
        page = await at.read(f"/v1/programmes/{PROGRAMME}")
        assert (counted["pledged"], counted["planted"]) == (page["pledged"], page["planted"])
        assert counted["alive"] == page["alive"]["trees"]
        [done] = [row for row in await table(at, "audits.csv") if row["state"] == "done"]
        assert (done["rate_bp"], done["surveyor"], done["plots"]) == (3333, "independent", 1)


async def test_files_stream_whole_in_pages_with_a_validator(
    lite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_queries, "EXPORT_ROWS", 2)
    monkeypatch.setattr(exports, "CHUNK_BYTES", 100)
    async with town(lite) as at:
        orders = [await planted_with(at.bench, count=1) for _ in range(5)]
        path = "/v1/registry/data/batches.csv"
        first = await at.get(path)
        assert len(await table(at, "batches.csv")) == 5
        assert first.headers["content-length"] == str(len(first.content))
        assert 'rel="license"' in first.headers["link"] and "tables.json" in first.headers["link"]
        spared = await at.get(path, **{"if-none-match": first.headers["etag"]})
        assert (spared.status_code, spared.content) == (304, b"")
        assert {row["order"] for row in await table(at, "orders.csv")} == set(map(order_number, orders))


async def test_a_file_is_made_once_in_a_while_and_readers_of_the_old_one_finish(
    lite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with town(lite) as at:
        await planted_with(at.bench)
        files = Exports(at.desk, kept_s=60.0)
        layout = columns.LAYOUTS["orders.csv"]
        old = await files.of(layout)
        assert await files.of(layout) is old
        reading = old.chunks()
        files.kept_s = 0.0
        await planted_with(at.bench)
        new = await files.of(layout)
        assert new.etag != old.etag
        assert b"".join([chunk async for chunk in reading]).count(b"\r\n") == 2


@pytest.mark.parametrize("start", exports.FORMULA_STARTS)
def test_no_text_is_a_formula(start: str) -> None:
    assert _cell(f"{start}1+cmd") == f"'{start}1+cmd"
    assert _cell(-1) == -1
    assert (_cell(None), _cell(True), _cell(0)) == ("", "true", 0)
