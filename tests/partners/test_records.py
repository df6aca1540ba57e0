"""Records of partners: what each command does, what it refuses, and that no address gets anywhere but its row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from engine.core.errors import CODES, Rejected
from engine.core.units import DAY_MS
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.records import commands as r
from partners.core.records.agreed import Band, Milestone, Price, Timers, Window, as_row_terms, terms_of
from partners.core.records.rows import Private
from tests.partners.world import AUTUMN, SPRING, SQUARE, World, agreed, terms


def refused(world: World, command: Any) -> Rejected:
    before = repr(world.rows)
    with pytest.raises(Rejected) as refusal:
        world.run(command)
    assert repr(world.rows) == before
    assert refusal.value.code in CODES
    return refusal.value


def applied(world: World, **changes: Any) -> None:
    told = {"kind": "ngo", "tier": 2, "country": "CN", "currency": "CNY", "languages": ("zh",)} | changes
    world.run(r.RecordPartner(None, "li", "elm", "榆树", "Elm", **told))


# --- partners -------------------------------------------------------------------------------------


def test_a_partner_applies_is_vetted_and_becomes_active() -> None:
    world = World(has_records=False)
    applied(world)
    assert world.rows["partner_records"]["elm"].status == "applied"
    assert refused(world, r.MovePartner(None, "li", "elm", "active")).code == "bad_move"
    world.run(r.MovePartner(None, "li", "elm", "vetting"))
    assert refused(world, r.MovePartner(None, "li", "elm", "active")).code == "not_vetted"
    world.run(r.RecordDocument(None, "li", "elm", "registration", "1", "bureau", "2027-01-31"))
    world.run(r.MovePartner(None, "li", "elm", "active"))
    assert world.rows["partner_records"]["elm"].status == "active"
    applied(world, tier=3)  # a correction is no new application
    assert (world.rows["partner_records"]["elm"].status, world.rows["partner_records"]["elm"].tier) == (
        "active",
        3,
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "friend"}, "kind"),
        ({"tier": 9}, "tier"),
        ({"country": "China"}, "country"),
        ({"currency": "yuan"}, "currency"),
        ({"languages": ()}, "languages"),
    ],
)
def test_a_record_that_does_not_fit_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected) as refusal:
        applied(World(has_records=False), **changes)
    assert (refusal.value.code, refusal.value.fields["field"]) == ("bad_record", field)


def test_the_same_wish_again_changes_nothing() -> None:
    world = World()
    place = world.terms["minqin"]
    before = repr(world.rows)
    version = world.rows["agreements"]["elm/1"]
    for command in (
        r.RecordDocument(None, "li", "elm", "registration", "1", "bureau", "2032-12-31"),
        r.MovePartner(None, "li", "elm", "active"),
        r.RecordAgreement(None, "li", "elm", 1, version.starts_on, version.ends_on, terms_of(version)),
        r.MoveAgreement(None, "li", "elm", 1, "active"),
        r.MoveSite(None, "li", place.site, "approved"),
        r.SetQuota(None, "li", place.site, place.species, SPRING.id, 100_000),
    ):
        assert world.run(command).events == [], command
    assert repr(world.rows) == before


def test_a_suspension_needs_a_reason_and_a_partner_that_left_is_vetted_anew() -> None:
    world = World()
    assert refused(world, r.MovePartner(None, "li", "elm", "suspended")).fields["field"] == "reason"
    world.run(r.MovePartner(None, "li", "elm", "left", "closed"))
    assert refused(world, r.MovePartner(None, "li", "elm", "active")).fields["moves"] == ["vetting"]


@pytest.mark.parametrize("how", ["suspended", "document"])
def test_a_stopped_partner_gets_no_order_and_its_open_ones_stand_still(how: str) -> None:
    world = World()
    order = world.ordered(3)
    expires_at = world.order(order).expires_at
    since_at = world.now + 5 * DAY_MS
    if how == "suspended":
        world.now = since_at
        world.run(r.MovePartner(None, "li", "elm", "suspended", "photos used twice"))
    else:
        world.rows["partner_records"]["elm"] = replace(
            world.rows["partner_records"]["elm"], documents_until_at=since_at
        )
    reason = "partner_suspended" if how == "suspended" else "document_expired"
    world.now = since_at + 30 * DAY_MS  # noticed late
    world.pledge(3, first=50)
    world.form()
    assert world.unit(50).note == f"no_place:{reason}"
    world.run(c.FollowUpOrder(None, order))  # would have expired
    held = world.order(order)
    assert (held.state, held.held, held.held_at) == ("submitted", reason, since_at)
    assert refused(world, c.ResumeOrder(None, "li", order)).code == "partner_blocked"
    assert world.run(c.RecheckOrder(None, order)).events == []
    if how == "suspended":
        world.run(r.MovePartner(None, "li", "elm", "active"))
    else:
        world.run(r.RecordDocument(None, "li", "elm", "registration", "2", "bureau", "2031-12-31"))
    world.run(c.RecheckOrder(None, order))
    assert (world.order(order).held, world.order(order).expires_at) == ("", expires_at + 30 * DAY_MS)
    world.form()
    assert world.states(50) == ["ordered"]


def test_a_hold_for_another_reason_is_not_lifted_by_a_renewal() -> None:
    world = World()
    order = world.ordered(3)
    world.run(c.HoldOrder(None, "li", order, "dispute"))
    world.run(r.MovePartner(None, "li", "elm", "suspended", "looked at"))
    world.run(c.RecheckOrder(None, order))
    world.run(r.MovePartner(None, "li", "elm", "active"))
    world.run(c.RecheckOrder(None, order))
    assert world.order(order).held == "dispute"


def test_the_latest_document_of_each_kind_counts() -> None:
    world = World(has_records=False)
    applied(world)
    for kind, expires_on in (
        ("registration", "2026-01-01"),
        ("tax", "2028-06-30"),
        ("registration", "2027-06-30"),
    ):
        world.run(r.RecordDocument(None, "li", "elm", kind, "1", "bureau", expires_on))
    assert world.rows["partner_records"]["elm"].documents_until_at == 1_814_400_000_000  # 2027-07-01
    assert (
        refused(world, r.RecordDocument(None, "li", "elm", "tax", "1", "b", "31.12.2027")).code
        == "bad_record"
    )


# --- contacts -------------------------------------------------------------------------------------


def test_an_address_is_in_its_row_and_in_no_event() -> None:
    world = World()
    people = (
        r.ContactWish("orders", "Wang", "wang@elm.example"),
        r.ContactWish("orders", "Li", "li@elm.example"),
        r.ContactWish("money", "Wu", "wu@elm.example"),
    )
    decision = world.run(r.SetContacts(None, "li", "elm", people))
    rows = sorted((one.role, one.place, one.address) for one in world.rows["contacts"].values())
    assert rows == [
        ("money", 1, "wu@elm.example"),
        ("orders", 1, "wang@elm.example"),
        ("orders", 2, "li@elm.example"),
    ]
    assert "elm.example" not in repr(decision.events) + str(decision.events) + json.dumps(
        decision.events, default=str
    )
    assert world.run(r.SetContacts(None, "li", "elm", people)).events == []
    world.run(r.SetContacts(None, "li", "elm", people[1:2]))
    assert [(one.role, one.place, one.name) for one in world.rows["contacts"].values()] == [
        ("orders", 1, "Li")
    ]
    assert (repr(Private("x")), f"{Private('x')}") == ("…", "…")


def test_a_contact_has_a_role_and_an_address() -> None:
    world = World()
    for wish in (r.ContactWish("boss", "Wang", "w@e"), r.ContactWish("orders", "Wang", " ")):
        assert refused(world, r.SetContacts(None, "li", "elm", (wish,))).code == "bad_record"


# --- agreements -----------------------------------------------------------------------------------


def record(world: World, version: int = 2, **changes: Any) -> Any:
    told = agreed(prices=(Price("haloxylon", 500, "minqin-north"),), **changes)
    return r.RecordAgreement(None, "li", "elm", version, "2026-01-01", "2030-12-31", told)


def test_an_active_agreement_is_never_changed() -> None:
    world = World()
    assert refused(world, record(world, 1, tolerance_pct=9)).code == "agreement_fixed"
    world.run(record(world, 2, tolerance_pct=9))
    world.run(record(world, 2, tolerance_pct=8))  # a draft may be rewritten
    order = world.ordered(3)
    world.run(r.MoveAgreement(None, "li", "elm", 2, "active"))
    assert world.rows["agreements"]["elm/1"].status == "superseded"
    assert (world.order(order).agreement, world.line(order).tolerance_pct) == ("elm/1", 5)
    later = world.ordered(3, first=50)
    assert (world.order(later).agreement, world.line(later).tolerance_pct) == ("elm/2", 8)
    assert refused(world, r.MoveAgreement(None, "li", "elm", 1, "active")).code == "bad_move"


def test_timers_are_those_of_the_agreement() -> None:
    world = World()
    world.run(record(world, 2, timers=Timers((1, 2), 3, 4, 45, 30, 45, 60)))
    world.run(r.MoveAgreement(None, "li", "elm", 2, "active"))
    order = world.ordered(3)
    assert world.order(order).expires_at == world.now + 4 * DAY_MS
    world.now += 3 * DAY_MS
    world.run(c.FollowUpOrder(None, order))
    assert (world.order(order).reminders, world.order(order).escalated_at) == (2, world.now)
    world.now += DAY_MS
    world.run(c.FollowUpOrder(None, order))
    assert world.order(order).state == "expired"


def test_disputes_are_answered_in_the_time_that_the_agreement_says() -> None:
    world = World()
    standard = _disputed(world)
    assert (standard.answer_by_at, standard.decide_by_at) == (world.now + 7 * DAY_MS, world.now + 30 * DAY_MS)
    own = Timers((3, 7), 10, 14, 45, 30, 45, 60, 2, 9, 3)
    world = World()
    world.run(record(world, 2, timers=own))
    world.run(r.MoveAgreement(None, "li", "elm", 2, "active"))
    assert terms_of(world.rows["agreements"]["elm/2"]).timers == own
    agreed_ = _disputed(world)
    assert (agreed_.answer_by_at, agreed_.decide_by_at) == (world.now + 2 * DAY_MS, world.now + 9 * DAY_MS)


def _disputed(world: World) -> Any:
    """A dispute that was opened on a Monday."""
    reply = world.run(ac.OpenDispute(None, "a visitor", world.ordered(3), "no tree seen")).reply
    return world.rows["disputes"][int(str(reply["dispute"]))]


def test_an_ended_or_future_agreement_makes_no_order() -> None:
    world = World()
    world.run(r.MoveAgreement(None, "li", "elm", 1, "ended"))
    world.pledge(3)
    world.form()
    assert world.unit(1).note == "no_place:agreement_over"
    world.run(r.RecordAgreement(None, "li", "elm", 2, "2030-01-01", "2030-12-31", agreed()))
    world.run(r.MoveAgreement(None, "li", "elm", 2, "active"))
    assert world.form().events == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"minimum_trees": 0}, "minimum_trees"),
        ({"tolerance_pct": 101}, "tolerance_pct"),
        ({"prices": ()}, "prices"),
        ({"prices": (Price("haloxylon", 0),)}, "prices"),
        ({"prices": (Price("haloxylon", 1), Price("haloxylon", 2))}, "prices"),
        ({"seasons": ()}, "seasons"),
        ({"seasons": (Window("spring", "01-01", "02-30", "03-03"),)}, "seasons"),
        ({"timers": Timers((7, 3), 10, 14, 45, 30, 45, 60)}, "timers"),
        ({"timers": Timers((3,), 10, 10, 45, 30, 45, 60)}, "timers"),
        ({"timers": Timers((3,), 10, 14, 45, 30, 20, 60)}, "timers"),
        ({"timers": Timers((3,), 10, 14, 0, 30, 45, 60)}, "timers"),
        ({"timers": Timers((3,), 10, 14, 45, 30, 45, 60, dispute_decide_d=0)}, "timers"),
        ({"milestones": (Milestone("verified", 99),)}, "milestones"),
        ({"milestones": (Milestone("verified", 50), Milestone("verified", 50))}, "milestones"),
        ({"milestones": (Milestone("whenever", 100),)}, "milestones"),
        ({"survival_m12": Band(0)}, "survival"),
        ({"survival_m36": Band(70, "median")}, "survival"),
        ({"evidence_min": 0}, "evidence_min"),
        ({"replacement_pays": "nobody"}, "replacement_pays"),
        ({"claim_policy": "whatever"}, "claim_policy"),
        ({"claim_policy": "co_funded", "claim_share_pct": 100}, "claim_share_pct"),
        ({"currency": "EUR"}, "currency"),
    ],
)
def test_terms_that_do_not_fit_together_name_the_field(changes: dict[str, Any], field: str) -> None:
    world = World()
    refusal = refused(
        world, r.RecordAgreement(None, "li", "elm", 2, "2026-01-01", "2030-12-31", agreed(**changes))
    )
    assert (refusal.code, refusal.fields["field"]) == ("bad_agreement", field)


@pytest.mark.parametrize(
    ("first", "last"), [("2027-01-01", "2027-01-01"), ("x", "2027-01-01"), ("2027-01-01", "y")]
)
def test_an_agreement_has_a_period(first: str, last: str) -> None:
    world = World()
    assert (
        refused(world, r.RecordAgreement(None, "li", "elm", 2, first, last, agreed())).code == "bad_agreement"
    )


def test_terms_read_the_same_after_they_were_stored() -> None:
    told = agreed()
    world = World()
    world.run(r.RecordAgreement(None, "li", "elm", 2, "2026-01-01", "2030-12-31", told))
    row = world.rows["agreements"]["elm/2"]
    assert terms_of(replace(row, terms=json.loads(json.dumps(row.terms)))) == told
    assert as_row_terms(told) == row.terms


def test_a_season_that_closes_in_the_next_year() -> None:
    winter = agreed(
        seasons=(Window("winter", "10-15", "11-20", "02-10"), Window("new", "12-20", "01-05", "01-20"))
    )
    season, early = winter.season("2026-winter"), winter.season("2027-new")
    assert season is not None and early is not None
    assert season.order_by_at < season.opens_at < season.closes_at
    assert season.closes_at - season.opens_at == 83 * DAY_MS - 1
    assert early.order_by_at < early.opens_at  # ordered in the year before
    assert [winter.season(name) for name in ("2026-summer", "26-winter", "winter", "²026-winter")] == [
        None
    ] * 4


# --- land -----------------------------------------------------------------------------------------


def site(**changes: Any) -> Any:
    told = {
        "geometry": SQUARE,
        "area_m2": 1_000_000,
        "datum": "WGS84",
        "land_right": {"number": "7"},
    } | changes
    return r.RecordSite(None, "li", "minqin-north", "elm", "", "minqin-north", "CN", "CN-GS", **told)


def test_a_new_geometry_is_a_new_version_and_is_looked_at_again() -> None:
    world = World()
    assert world.run(site()).events == []
    moved = SQUARE.replace("103.1", "103.2")
    assert world.run(site(geometry=moved)).reply == {
        "site": "minqin-north",
        "status": "in_review",
        "version": 2,
    }
    assert [world.rows["site_versions"][f"minqin-north/{one}"].geometry for one in (1, 2)] == [SQUARE, moved]
    world.pledge(3)
    world.form()
    assert world.unit(1).note == "no_place:site_not_approved"
    world.run(r.RecordSiteChecks(None, "minqin-north", 2, {"valid": True}))
    assert world.rows["site_versions"]["minqin-north/2"].checks == {"valid": True}
    world.run(r.MoveSite(None, "li", "minqin-north", "approved"))
    world.form()
    assert world.states(1) == ["ordered"]


@pytest.mark.parametrize(
    "changes",
    [
        {"geometry": "no"},
        {"geometry": '{"type": "Point", "coordinates": [1, 2]}'},
        {"geometry": '{"type": "MultiPolygon", "coordinates": []}'},
        {"geometry": "[" * 100_000},
        {"datum": "Mars"},
        {"area_m2": 0},
    ],
)
def test_a_site_that_can_not_be_stored(changes: dict[str, Any]) -> None:
    assert refused(World(), site(**changes)).code == "bad_record"


def test_a_site_belongs_to_one_partner_and_needs_a_right_to_the_land() -> None:
    world = World(terms(), terms("alxa", "oak"))
    other = r.RecordSite(None, "li", "minqin-north", "oak", "", "x", "CN", "CN-GS", SQUARE, 1, "WGS84")
    assert refused(world, other).code == "site_taken"
    fresh = replace(other, site="new")
    world.run(fresh)
    world.run(r.MoveSite(None, "li", "new", "in_review"))
    assert refused(world, r.MoveSite(None, "li", "new", "approved")).fields["field"] == "land_right"
    assert refused(world, r.MoveSite(None, "li", "moon", "approved")).code == "unknown_site"


def test_a_quota_is_of_a_known_place_and_season_and_never_below_what_is_used() -> None:
    world = World()
    world.ordered(4)

    def quota(**changes: Any) -> Any:
        usual = {
            "site": "minqin-north",
            "species": "haloxylon",
            "season": SPRING.id,
            "capacity": 10,
        } | changes
        return r.SetQuota(None, "li", *usual.values())

    assert refused(world, quota(capacity=3)).code == "quota_in_use"
    assert refused(world, quota(season="2027-summer")).code == "unknown_season"
    assert refused(world, quota(site="moon")).code == "unknown_site"
    assert refused(world, quota(species="oak")).code == "unknown_offer"
    assert refused(world, quota(capacity=-1)).code == "bad_record"
    assert world.run(quota(capacity=4)).reply["free"] == 0
    world.pledge(2, first=50)
    world.form()
    row = world.rows["quotas"][f"minqin-north/haloxylon/{SPRING.id}"]
    assert (row.capacity, row.ordered) == (4, 4)
    assert world.order(world.unit(50).order_id).season == AUTUMN.id
