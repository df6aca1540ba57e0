"""Attempts at fraud by partners, each played through the real writer, files and database; what they are told of it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw, ImageEnhance

from engine.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from partners.core import commands as c
from partners.core.evidence_commands import DismissReason
from partners.evidence.passes import make_pass, read_pass
from tests.partners.evidence.plot import (
    ELM,
    OAK,
    OTHER_PLACE,
    PLACES,
    PLANTED_AT,
    PLANTED_ON,
    Plot,
    away,
    batch,
    centre,
    geojson,
    refused,
    square,
)
from tests.partners.evidence.scenes import cropped, photo, scene, shifted

Given = Mapping[str, str]
Told = set[str]
ATTEMPTS: dict[str, Callable[[Plot, Given], Awaitable[Told]]] = {}
SITE = centre(PLACES[ELM])


def attempt(work: Callable[[Plot, Given], Awaitable[Told]]) -> Callable[[Plot, Given], Awaitable[Told]]:
    """Known by its name in the table."""
    ATTEMPTS[work.__name__] = work
    return work


def good_photo(seed: int, minute: int = 0, point: tuple[float, float] = SITE, **head: Any) -> bytes:
    """What an honest planter's phone makes on the day, in the middle of the site."""
    at = head.pop("at", PLANTED_AT + minute * MINUTE_MS)
    return photo(
        head.pop("image", seed), **{"at": at, "gps": away(point, 7 * seed % 90, 11 * seed % 80), **head}
    )


async def site(plot: Plot, side: float = 300) -> None:
    await plot.outline(geojson(square(SITE, side)))


async def reported(plot: Plot, *files: str, trees: int = 200, **changes: Any) -> Told:
    """An order with one batch that shows these files; its findings."""
    order = await plot.order(trees)
    await plot.report(order, batch("1", trees, files, **changes), accepted=trees)
    return await plot.findings(order)


# --- files ----------------------------------------------------------------------------------------


@attempt
async def same_file_two_batches(plot: Plot, given: Given) -> Told:
    name = await plot.upload(good_photo(1))
    order = await plot.order()
    await plot.report(order, batch("1", 90, [name]), batch("2", 80, [name], planted_to_on="2027-04-11"))
    return await plot.findings(order)


@attempt
async def same_file_two_orders(plot: Plot, given: Given) -> Told:
    name = await plot.upload(good_photo(1))
    await reported(plot, name)
    return await reported(plot, name)


@attempt
async def file_of_another(plot: Plot, given: Given) -> Told:
    return await reported(plot, await plot.upload(good_photo(1), OAK))


def _recompressed(image: Image.Image) -> Image.Image:
    return Image.open(BytesIO(photo(image, quality=45))).convert("RGB")


def _stamped(image: Image.Image) -> Image.Image:
    marked = image.copy()
    ImageDraw.Draw(marked).rectangle([10, 320, 190, 350], fill=(0, 0, 0))
    return marked


COPIES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": _recompressed,
    "resized": lambda image: image.resize((300, 225)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned_left": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned_right": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "upside_down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "cropped": lambda image: cropped(image, 0.97),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "stamped": _stamped,
    "as_png": lambda image: image,
    "mirrored_and_resized": lambda image: image.resize((320, 240)).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def copied(seed: int, how: str) -> bytes:
    """Another's view as its thief hands it in, with a head of their own."""
    kind = "PNG" if how == "as_png" else "JPEG"
    return good_photo(3, 30, image=COPIES[how](scene(seed)), kind=kind)


@attempt
async def copy_of_another(plot: Plot, given: Given) -> Told:
    await plot.uploads((good_photo(seed) for seed in range(50, 55)), OAK)
    return await reported(plot, await plot.upload(copied(52, given["how"])))


@attempt
async def copy_of_own_order(plot: Plot, given: Given) -> Told:
    await reported(plot, await plot.upload(good_photo(60)))
    return await reported(plot, await plot.upload(copied(60, given["how"])))


@attempt
async def copy_in_other_batch(plot: Plot, given: Given) -> Told:
    names = [await plot.upload(good_photo(61)), await plot.upload(copied(61, given["how"]))]
    order = await plot.order()
    await plot.report(order, batch("1", 90, names[:1]), batch("2", 80, names[1:], planters=12))
    return await plot.findings(order)


@attempt
async def one_view_many_photos(plot: Plot, given: Given) -> Told:
    base = scene(70)
    copies = [ImageEnhance.Brightness(base).enhance(1 + step / 50) for step in range(int(given["photos"]))]
    return await reported(plot, *await plot.uploads(good_photo(n, image=one) for n, one in enumerate(copies)))


@attempt
async def files(plot: Plot, given: Given) -> Told:
    return await reported(plot) if given.get("named") == "no" else await reported(plot, "ab" * 32)


@attempt
async def head(plot: Plot, given: Given) -> Told:
    if given.get("exif") == "no":
        width, height = map(int, given["size"].split("x"))
        return await reported(plot, await plot.upload(photo(scene(80, (width, height)), kind=given["kind"])))
    named = {key: given[key] for key in ("software", "comment") if key in given}
    return await reported(plot, await plot.upload(good_photo(81, **named)))


@attempt
async def xmp_editor(plot: Plot, given: Given) -> Told:
    out = BytesIO()
    packet = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r xmp:CreatorTool="{given["tool"]}"/></x:xmpmeta>'
    scene(82).save(out, "JPEG", xmp=packet.encode())
    return await reported(plot, await plot.upload(out.getvalue()))


# --- time and place -------------------------------------------------------------------------------


@attempt
async def taken(plot: Plot, given: Given) -> Told:
    at = PLANTED_AT + int(given["days"]) * DAY_MS
    return await reported(plot, *await plot.uploads(good_photo(seed, at=at, gps_at=at) for seed in range(3)))


@attempt
async def clock_turned(plot: Plot, given: Given) -> Told:
    """The camera's time was written anew; the satellites' was forgotten."""
    then = PLANTED_AT + int(given["days"]) * DAY_MS
    return await reported(plot, *await plot.uploads(good_photo(seed, gps_at=then) for seed in range(3)))


@attempt
async def place(plot: Plot, given: Given) -> Told:
    await site(plot)
    there = away(SITE, float(given["east"]), float(given["north"]))
    return await reported(plot, *await plot.uploads(good_photo(seed, point=there) for seed in range(4)))


@attempt
async def two_places(plot: Plot, given: Given) -> Told:
    await plot.upload(good_photo(90, 5, point=away(SITE, 1000 * float(given["km"]), 0), serial="X1"))
    return await reported(plot, await plot.upload(good_photo(91, 20, serial="X1")))


# --- ground and figures ---------------------------------------------------------------------------


@attempt
async def outline_of_another(plot: Plot, given: Given) -> Told:
    theirs = centre(PLACES[OAK])
    await plot.outline(geojson(square(theirs, 400)), OAK)
    await plot.outline(geojson(square(away(theirs, float(given["shift"]), 0), 400)))
    return await reported(plot, await plot.upload(good_photo(1, point=theirs)))


@attempt
async def outline_of_own_other_site(plot: Plot, given: Given) -> Told:
    await plot.outline(geojson(square(SITE, 300)), site=OTHER_PLACE)
    await plot.outline(geojson(square(away(SITE, float(given["shift"]), 0), 300)))
    return await reported(plot, await plot.upload(good_photo(1)))


@attempt
async def density(plot: Plot, given: Given) -> Told:
    await site(plot, float(given["side"]))
    return await reported(plot, await plot.upload(good_photo(1)), trees=int(given["trees"]))


@attempt
async def planters(plot: Plot, given: Given) -> Told:
    trees = int(given.get("trees", 200))
    name = await plot.upload(good_photo(1))
    if given.get("fast") != "yes":
        return await reported(plot, name, planters=int(given["planters"]))
    order = await plot.order(trees)
    rules = plot.desk.evidence
    assert (
        trees < rules.trees_per_planter_day_max
    )  # one order can't be that large: the limit is lowered for this one
    object.__setattr__(plot.agreed[ELM], "evidence", replace(rules, trees_per_planter_day_max=500))
    await plot.report(order, batch("1", trees, [name], planters=1), accepted=trees)
    return await plot.findings(order)


@attempt
async def copied_rows(plot: Plot, given: Given) -> Told:
    names = await plot.uploads(good_photo(seed) for seed in range(2))
    order = await plot.order()
    await plot.report(order, batch("1", 87, names[:1]))
    await plot.report(order, batch("2", 87, names[1:]))
    return await plot.findings(order)


@attempt
async def round_figures(plot: Plot, given: Given) -> Told:
    count = int(given["reports"])
    names = await plot.uploads(good_photo(seed) for seed in range(count))
    order = await plot.order(900)
    shown = [batch(f"{n}", 100 * (1 + n % 2), [name], planters=10 + n) for n, name in enumerate(names)]
    await plot.report(order, *shown, accepted=900)
    return await plot.findings(order)


@attempt
async def dates(plot: Plot, given: Given) -> Told:
    days = {"planted_from_on": given["from"], "planted_to_on": given["to"]}
    return await reported(plot, await plot.upload(good_photo(1)), **days)


@attempt
async def other_site(plot: Plot, given: Given) -> Told:
    return await reported(plot, await plot.upload(good_photo(1)), site=OTHER_PLACE)


@attempt
async def bad_outline(plot: Plot, given: Given) -> Told:
    ring = square(SITE, 300)
    shapes = {
        "crossed": geojson([ring[0], ring[2], ring[1], ring[3], ring[0]]),
        "swapped": geojson([(y, x) for x, y in ring]),
        "hole_outside": geojson(ring, square(away(SITE, 2000, 0), 50)),
    }
    return {await refused(plot.outline(shapes[given["how"]]))}


@attempt
async def bad_file(plot: Plot, given: Given) -> Told:
    whole = good_photo(1)
    frames = [scene(seed) for seed in range(3)]
    moving = BytesIO()
    frames[0].save(moving, "PNG", save_all=True, append_images=frames[1:])
    sent = {
        "script": b"\xff\xd8\xff<script>alert(1)</script>" * 9,
        "pixels": photo(Image.new("L", (20_000, 20_000)), kind="PNG"),
        "truncated": whole[: len(whole) // 2],
        "animation": moving.getvalue(),
    }
    return {await refused(plot.upload(sent[given["how"]]))}


# --- what partners say of orders ------------------------------------------------------------------


@attempt
async def over_planting(plot: Plot, given: Given) -> Told:
    order = await plot.order()
    await plot.report(order, batch("1", int(given["trees"]), ["ab" * 32]))
    return await plot.findings(order)


@attempt
async def before_acceptance(plot: Plot, given: Given) -> Told:
    order = await plot.order(accepted=False)
    await plot.say(order, "received", batches=(batch("1", 200, ["ab" * 32]),))
    return await plot.findings(order)


@attempt
async def accepts_more(plot: Plot, given: Given) -> Told:
    order = await plot.order(accepted=False)
    await plot.say(order, "accepted", accepted=300)
    return await plot.findings(order)


@attempt
async def late_acceptance(plot: Plot, given: Given) -> Told:
    order = await plot.order(accepted=False)
    await plot.desk.submit(c.FollowUpOrder(None, order))
    return {await refused(plot.say(order, "accepted", accepted=200))}


@attempt
async def replay(plot: Plot, given: Given) -> Told:
    order = await plot.order(accepted=False)
    await plot.say(order, "accepted", "same", accepted=200)
    return {await refused(plot.say(order, "accepted", "same", accepted=190))}


@attempt
async def order_of_another(plot: Plot, given: Given) -> Told:
    order = await plot.order()
    return {await refused(plot.say(order, "planted", partner=OAK, accepted=200))}


@attempt
async def changed_answer(plot: Plot, given: Given) -> Told:
    order = await plot.order(accepted=False)
    [(name, value)] = given.items()
    changed: Any = int(value) if value.isdigit() else value
    await plot.say(order, "accepted", accepted=200, **{name: changed})
    return await plot.findings(order)


@attempt
async def batch_grows(plot: Plot, given: Given) -> Told:
    order = await plot.order()
    name = await plot.upload(good_photo(1))
    await plot.report(order, batch("1", 100, [name]))
    await plot.report(order, batch("1", 150, [name]))
    return await plot.findings(order)


@attempt
async def report_number_twice(plot: Plot, given: Given) -> Told:
    order = await plot.order()
    return {await refused(plot.report(order, batch("1", 50, ["ab" * 32]), batch("1", 60, ["cd" * 32])))}


async def planted(plot: Plot, *names: str) -> int:
    """An order that is declared planted, in one batch."""
    order = await plot.order()
    await plot.report(order, batch("1", 200, names), state="planted")
    return order


@attempt
async def more_after_planted(plot: Plot, given: Given) -> Told:
    order = await planted(plot, await plot.upload(good_photo(1)))
    more = batch("2", 5, [await plot.upload(good_photo(2))])
    await plot.report(order, batch("1", 200, []), more, state="planted")
    return await plot.findings(order)


@attempt
async def review(plot: Plot, given: Given) -> Told:
    by, verified = "operator", {"1": 200}
    if given.get("evidence") == "refused":
        name = await plot.upload(good_photo(1), OAK)
    else:
        name = await plot.upload(good_photo(1))
    order = await planted(plot, name)
    if given.get("by") == "self":
        by = ELM
    if "verified" in given:
        verified = {"1": int(given["verified"])}
    return {await refused(plot.desk.submit(c.ReviewOrder(None, by, order, "verified", "", verified)))}


@attempt
async def dismissal(plot: Plot, given: Given) -> Told:
    order = await planted(plot, await plot.upload(good_photo(1, software="GIMP 2.10")))
    command = DismissReason(None, ELM, order, f"{order}/1", "edited", "we know")
    return {await refused(plot.desk.submit(command))}


@attempt
async def forged_pass(plot: Plot, given: Given) -> Told:
    key = "whsec_" + "b2FrLWtleS1vYWsta2V5LW9hay1rZXktb2FrLWtleSE="
    dice = random.Random(1)
    good = make_pass(key, OAK, (PLANTED_AT + HOUR_MS) // 1000)
    bad = good.replace(OAK, ELM, 1) if dice else good
    assert read_pass({OAK: [key]}, good, PLANTED_AT) == OAK

    async def read() -> str:
        return read_pass({OAK: [key], ELM: [key[:-4] + "ISE="]}, bad, PLANTED_AT)

    return {await refused(read())}


__all__ = ["ATTEMPTS", "PLANTED_ON", "good_photo", "shifted"]
