"""Files go in once: whatever the day, beside a running server or alone, with bad lines in the middle."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Ran, Saxaul, run_saxaul
from tests.conftest import StartServer

SAMPLES = Path(__file__).parents[2] / "docs" / "samples"
FITBIT = "data/real/fitbit_dailyActivity_merged_2016-04-12_05-12.csv"
HEADER = "id,subject,behaviour,on,quantity,unit,revision\n"


def fitbit(path: Path, rebase: str = "yesterday") -> tuple[str | Path, ...]:
    return ("ingest", path, "--format", "fitbit", "--rebase", rebase, "--json")


@pytest.fixture
def real_file(shared_folder: Path) -> Path:
    path = shared_folder / FITBIT
    if not path.is_file():
        pytest.skip("no Fitbit file beside the project")
    return path


def check_the_real_file(ran: Ran) -> None:
    told = ran.check().json
    assert (told["lines"], told["accepted"], told["duplicate"], told["rejected"]) == (940, 940, 0, 0)
    assert (told["issued_g"], told["balls"]) == (115_681, 854)
    assert told["accounts_opened"] == told["accounts_linked"] == 33
    assert told["late_balls"] == told["expired_balls"] > 0 and 0 < told["expired_g"] < 115_681


def check_nothing_new(ran: Ran) -> None:
    told = ran.check().json
    assert (told["accepted"], told["duplicate"]) == (0, told["lines"])
    assert (told["issued_g"], told["balls"], told["expired_g"], told["accounts_opened"]) == (0, 0, 0, 0)


def issued_g(saxaul: Saxaul, **settings: object) -> int:
    told = saxaul("check", "--json", **settings).check().json
    [mint] = [one for one in told["accounts"] if (one["kind"], one["asset"]) == ("mint", "energy")]
    return -int(mint["balance"])


def test_the_real_file_mints_once_whatever_the_day(saxaul: Saxaul, real_file: Path) -> None:
    check_the_real_file(saxaul(*fitbit(real_file)))
    assert issued_g(saxaul) == 115_681
    check_nothing_new(saxaul(*fitbit(real_file)))
    check_nothing_new(saxaul(*fitbit(real_file, "2026-11-01")))
    assert issued_g(saxaul) == 115_681


async def test_the_real_file_on_postgresql(real_file: Path, postgres_url: str) -> None:
    first = await asyncio.to_thread(run_saxaul, *fitbit(real_file), database_url=postgres_url)
    check_the_real_file(first)
    again = await asyncio.to_thread(run_saxaul, *fitbit(real_file, "2026-11-01"), database_url=postgres_url)
    check_nothing_new(again)
    checked = await asyncio.to_thread(run_saxaul, "check", "--json", database_url=postgres_url)
    assert checked.check().json["counts"]["balls"] == 854


async def test_beside_a_running_server(start_server: StartServer) -> None:
    server = await start_server()
    arguments = [str(one) for one in fitbit(SAMPLES / "fitbit.csv")]
    told = (await server.cli(*arguments)).check().json
    assert told["accepted"] == 70 and told["issued_g"] > 0
    again = (await server.cli(*arguments)).check().json
    assert again["duplicate"] == 70 and again["issued_g"] == 0
    assert (await server.cli("check", "--json")).check().json["counts"]["activities"] == 70
    assert server.running


def test_a_changed_row_is_a_conflict_and_mints_nothing(saxaul: Saxaul, tmp_path: Path) -> None:
    saxaul(*fitbit(SAMPLES / "fitbit.csv")).check()
    before = issued_g(saxaul)
    lines = (SAMPLES / "fitbit.csv").read_text().splitlines()
    cells = lines[30].split(",")
    cells[2] = str(int(cells[2]) + 1)
    lines[30] = ",".join(cells)
    changed = tmp_path / "changed.csv"
    changed.write_text("\n".join(lines))
    ran = saxaul(*fitbit(changed))
    assert ran.status == 1
    told = ran.json
    assert told["rejected_by_code"] == {"activity_conflict": 1} and told["duplicate"] == 69
    assert told["examples"]["activity_conflict"][0]["line"] == 31
    assert issued_g(saxaul) == before


def test_bad_lines_are_told_and_the_rest_counts(saxaul: Saxaul, tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    path.write_bytes(
        HEADER.encode()
        + b"a,p,walking,2026-11-20,9000,step,1\n"
        + b"b,p,walking,2026-11-21,NaN,step,1\n"
        + b"x" * (2 << 20)
        + b"\n"
        + b"c,p,walking,2026-11-19,400000,step,1\n"
        + b"d,p,walking,2999-01-01,100,step,1\n"
        + b"e,p,flying,2026-11-20,100,step,1\n"
        + b"f,p,walking,2026-11-18,100,km,1\n"
        + b"g,p,walking,2026-11-18,100,step,1\n"
    )
    ran = saxaul("ingest", path, "--format", "csv", "--source", "band", "--open-accounts", "--json")
    told = ran.json
    assert ran.status == 1 and told["accepted"] == 2 and told["lines"] == 8
    assert told["rejected_by_code"] == {
        "bad_line": 2,
        "quantity_out_of_range": 1,
        "in_future": 1,
        "source_not_allowed": 1,
        "wrong_unit": 1,
    } or told["rejected_by_code"].keys() >= {"bad_line", "quantity_out_of_range", "in_future", "wrong_unit"}
    assert [one["line"] for one in told["examples"]["bad_line"]] == [3, 4]
    words = saxaul("ingest", path, "--format", "csv", "--source", "band", "--open-accounts")
    assert words.status == 1 and "line 5: c:" in words.out and "duplicate           2" in words.out


def test_revisions_count_what_they_add(saxaul: Saxaul, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    today = datetime.now(UTC).date().isoformat()
    path = tmp_path / "steps.csv"
    path.write_text(
        HEADER
        + f"a,p,walking,{today},2000,step,1\n"
        + f"a,p,walking,{today},9000,step,2\n"
        + f"a,p,walking,{today},5000,step,3\n"
    )
    told = (
        saxaul("ingest", path, "--format", "csv", "--source", "band", "--open-accounts", "--json")
        .check()
        .json
    )
    assert told["accepted"] == 3 and told["balls"] == 1
    assert told["issued_g"] - told["taken_back_g"] == 5000 * 296 // 18040
    assert told["issued_g"] == 9000 * 296 // 18040
    saxaul("check").check()


def test_both_own_formats_and_their_samples(saxaul: Saxaul) -> None:
    options = (
        "--source",
        "band",
        "--open-accounts",
        "--rebase",
        "yesterday",
        "--zone",
        "Asia/Shanghai",
        "--json",
    )
    steps = saxaul("ingest", SAMPLES / "walking.csv", "--format", "csv", *options).check().json
    assert steps["accepted"] == 12 and steps["accounts_opened"] == 2
    saxaul("source", "add", "bus-company", "--behaviour", "bus").check()
    rides = ("ingest", SAMPLES / "rides.ndjson", "--format", "ndjson")
    refused = saxaul(*rides, "--source", "bus-company", "--rebase", "yesterday", "--json")
    assert refused.status == 1 and refused.json["rejected_by_code"] == {"not_linked": 4}
    told = (
        saxaul(*rides, "--source", "bus-company", "--open-accounts", "--rebase", "yesterday", "--json")
        .check()
        .json
    )
    assert told["accepted"] == 4 and told["issued_g"] == 4 * 80
    saxaul("check").check()


def test_a_withdrawn_consent_stays_withdrawn(saxaul: Saxaul, tmp_path: Path) -> None:
    saxaul(*fitbit(SAMPLES / "fitbit.csv")).check()
    with closing(sqlite3.connect(tmp_path / "saxaul.db")) as db:
        db.execute("UPDATE links SET withdrawn_at = 1 WHERE subject = '1000000001'")
        db.commit()
    text = "Id,ActivityDate,TotalSteps\n1000000001,4/1/2025,5000\n"
    (tmp_path / "more.csv").write_text(text)
    ran = saxaul(*fitbit(tmp_path / "more.csv"))
    assert ran.status == 1 and ran.json["rejected_by_code"] == {"not_linked": 1}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("nowhere.csv", "--format", "csv", "--source", "s"), 2, "no file"),
        ((SAMPLES / "walking.csv", "--format", "csv"), 2, "--source is needed"),
        ((SAMPLES / "fitbit.csv", "--format", "fitbit", "--rebase", "soon"), 2, "yesterday"),
        ((SAMPLES / "fitbit.csv", "--format", "fitbit", "--rebase", "2026-02-31"), 2, "yesterday"),
        ((SAMPLES / "fitbit.csv", "--format", "fitbit", "--zone", "Mars/Base"), 2, "time zone"),
        ((SAMPLES / "fitbit.csv", "--format", "xml"), 2, "xml"),
        ((SAMPLES / "rides.ndjson", "--format", "fitbit"), 1, "lacks Id"),
        ((SAMPLES / "walking.csv", "--format", "csv", "--source", "nobody"), 1, "source add nobody"),
    ],
)
def test_wrong_use_is_told_with_the_fix(
    saxaul: Saxaul, arguments: tuple[str | Path, ...], status: int, words: str
) -> None:
    ran = saxaul("ingest", *arguments)
    assert ran.status == status
    assert words in ran.err


# --- error files and folders ------------------------------------------------------------------------

TWO_BAD = (
    HEADER
    + "a,p,walking,2026-11-20,9000,step,1\nb,p,walking,2026-11-21,NaN,step,1\nc,p,walking,2026-11-19,400000,step,1\n"
)
BAND = ("--format", "csv", "--source", "band", "--open-accounts")


def test_rejected_lines_are_named_beside_the_file(saxaul: Saxaul, tmp_path: Path) -> None:
    path, errors = tmp_path / "steps.csv", tmp_path / "steps.csv.rejected.csv"
    path.write_text(TWO_BAD)
    assert saxaul("ingest", path, *BAND).status == 1
    lines = errors.read_text().splitlines()
    assert lines[0] == "line,code,problem"
    assert [line.split(",")[:2] for line in lines[1:]] == [["3", "bad_line"], ["4", "quantity_out_of_range"]]
    path.write_text(HEADER + "a,p,walking,2026-11-20,9000,step,1\n")
    assert saxaul("ingest", path, *BAND).status == 0
    assert not errors.exists(), "what is mended is no longer told"


def test_files_of_a_folder_are_taken_in_one_by_one(saxaul: Saxaul, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "1.csv").write_text(TWO_BAD)
    (folder / "2.csv").write_text("no,header\n1,2\n")
    (folder / "3.csv").write_text(HEADER + "d,p,walking,2026-11-22,1000,step,1\n")
    (folder / "notes.txt").write_text("not mine")
    (folder / ".half.csv").write_text("still being copied")
    ran = saxaul("ingest", folder, *BAND, "--json")
    assert ran.status == 1
    told = {one["file"]: one for one in ran.json}
    assert (told["1.csv"]["accepted"], told["1.csv"]["rejected"], told["3.csv"]["accepted"]) == (1, 2, 1)
    assert "the header lacks" in told["2.csv"]["problem"]
    left = sorted(path.name for path in folder.iterdir())
    assert left == [".half.csv", "1.csv.rejected.csv", "2.csv", "notes.txt", "taken"]
    assert sorted(path.name for path in (folder / "taken").iterdir()) == ["1.csv", "3.csv"]
    (folder / "2.csv").unlink()
    assert "no csv file waits" in saxaul("ingest", folder, *BAND).check().out


def test_how_the_feeds_fare(saxaul: Saxaul, tmp_path: Path) -> None:
    assert "no source is registered" in saxaul("sources", "report").check().out
    path = tmp_path / "steps.csv"
    path.write_text(TWO_BAD)
    saxaul("ingest", path, *BAND)
    saxaul("ingest", path, *BAND)
    [told] = saxaul("sources", "report", "--json").check().json
    assert (told["accepted"], told["duplicate"], told["rejected"]) == (1, 1, 4)
    assert told["rejected_by_code"] == {"bad_request": 2, "quantity_out_of_range": 2}
    shown = saxaul("sources", "report", "band").check().out
    assert "66.7" in shown and "band: walking: 1 activities, 147 g of energy" in shown
    assert saxaul("sources", "report", "nobody").status == 2
    assert saxaul("sources", "report", "--days", "0").status == 2


def test_a_pull_needs_a_folder_and_a_file(saxaul: Saxaul, tmp_path: Path) -> None:
    assert "SAXAUL_PULL_FOLDER" in saxaul("sources", "pull", "city").err
    folder = tmp_path / "pulls"
    folder.mkdir()
    assert "no city.yaml" in saxaul("sources", "pull", "city", "--folder", folder).err
    (folder / "city.yaml").write_text("source: city\n")
    ran = saxaul("sources", "pull", "city", "--folder", folder)
    assert ran.status == 1 and "city.yaml:1" in ran.err and "Fix:" in ran.err
    served = saxaul("serve", "--port", "0", pull_folder=tmp_path / "nowhere")
    assert served.status == 2 and "SAXAUL_PULL_FOLDER" in served.err
