"""Packing an order's evidence on the command line."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from engine.core.numbers import order_number
from tests.cli.conftest import run_saxaul
from tests.partners.evidence.attempts import good_photo, planted
from tests.partners.evidence.plot import open_plot


@pytest.fixture
def packed(tmp_path: Path) -> tuple[dict[str, object], str]:
    """Settings of a database with an order that two photos speak for; the order's number."""
    settings = {"database_url": f"sqlite:///{tmp_path}/plot.db", "evidence": tmp_path / "evidence"}

    async def build() -> int:
        async with open_plot(str(settings["database_url"]), tmp_path) as plot:
            return await planted(plot, *await plot.uploads(good_photo(seed) for seed in range(2)))

    return settings, order_number(asyncio.run(build()))


def test_the_pack_is_written_and_is_always_the_same(
    packed: tuple[dict[str, object], str], tmp_path: Path
) -> None:
    settings, number = packed
    hashes = []
    for name in ("one.zip", "two.zip"):
        ran = run_saxaul("orders", "evidence", number, "--out", str(tmp_path / name), "--json", **settings)
        assert ran.status == 0, ran.err
        told = json.loads(ran.out)
        assert told["sha256"] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        hashes.append(told["sha256"])
    assert hashes[0] == hashes[1]
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert len([name for name in archive.namelist() if name.startswith("photos/")]) == 2
    assert not list(tmp_path.glob("*.zip.part"))


def test_wrong_numbers_and_places_are_told(packed: tuple[dict[str, object], str], tmp_path: Path) -> None:
    settings, number = packed
    assert run_saxaul("orders", "evidence", "PO-000001-X", **settings).status == 2
    assert "unknown_order" in run_saxaul("orders", "evidence", order_number(999), **settings).err
    ran = run_saxaul("orders", "evidence", number, "--out", str(tmp_path / "no" / "x.zip"), **settings)
    assert ran.status == 1 and "No such file" in ran.err
