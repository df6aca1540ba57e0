"""Likeness across all partners: what a search in the database finds, how often, and that it finds nothing else."""

from __future__ import annotations

import pytest
from PIL import ImageEnhance

from partners.core.evidence_rows import EvidencePhoto
from partners.evidence.likeness import alike, elsewhere
from partners.evidence.photos import read_photo
from tests.partners.evidence.attempts import COPIES, good_photo
from tests.partners.evidence.plot import OAK, PLANTED_AT, Plot, away, centre
from tests.partners.evidence.scenes import cropped, photo, scene

KEPT = 40
CAUGHT_PCT_MIN = {
    "recompressed": 97,
    "resized": 97,
    "mirrored": 97,
    "turned_left": 97,
    "turned_right": 97,
    "upside_down": 97,
    "as_png": 97,
    "mirrored_and_resized": 95,
    "brightened": 90,
    "cropped": 80,  # by three per cent
    "stamped": 60,  # a black bar over two fifths of the width
}


@pytest.mark.slow
async def test_copies_are_found_and_other_views_are_not(plot: Plot) -> None:
    for seed in range(KEPT):
        await plot.upload(photo(seed), OAK)
    caught = dict.fromkeys(COPIES, 0)
    wrong = 0
    async with plot.desk.reading() as reader:
        for seed in range(KEPT):
            [(name,)] = await reader.fetch(
                "SELECT sha256 FROM evidence_photos WHERE sha256 = ?",
                read_photo(photo(seed), OAK, 10**7).row.sha256,
            )
            for how, change in COPIES.items():
                found = await _alike(plot, reader, photo(change(scene(seed)), quality=80))
                caught[how] += name in found
                wrong += bool(found - {name})
        for seed in range(1000, 1000 + KEPT):
            wrong += bool(await _alike(plot, reader, photo(seed)))
    shares = {how: count * 100 // KEPT for how, count in caught.items()}
    assert {how: share for how, share in shares.items() if share < CAUGHT_PCT_MIN[how]} == {}
    assert wrong == 0


async def _alike(plot: Plot, reader: object, data: bytes) -> set[str]:
    seen = read_photo(data, OAK, 10**7)
    return {entry[0] for entry in await alike(reader, seen.row.sha256, seen.variants, plot.desk.evidence)}  # type: ignore[arg-type]


async def test_what_is_known_to_go_unseen(plot: Plot) -> None:
    """A tenth cut off each side is another picture to the hash: the other signals are for those."""
    await plot.upload(photo(3), OAK)
    async with plot.desk.reading() as reader:
        assert await _alike(plot, reader, photo(cropped(scene(3), 0.8))) == set()
        assert len(await _alike(plot, reader, photo(ImageEnhance.Contrast(scene(3)).enhance(1.2)))) == 1


async def test_a_device_far_away_within_the_hour(plot: Plot) -> None:
    far = away(centre("tamarix-jinta"), 0, 0)
    await plot.upload(good_photo(1, 0, serial="A"))
    rows: list[EvidencePhoto] = [
        read_photo(good_photo(n, minute, point=far, serial=serial), OAK, 10**7).row
        for n, (minute, serial) in enumerate([(30, "A"), (90, "A"), (30, "B")])
    ]
    async with plot.desk.reading() as reader:
        found = [await elsewhere(reader, row, plot.desk.evidence) for row in rows]
    assert [len(one) for one in found] == [1, 0, 0]
    assert found[0][0][1] > 500_000
    assert rows[0].taken_at == PLANTED_AT + 30 * 60_000
