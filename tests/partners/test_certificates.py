"""Pledge cards and certificates: what they say, what they never say, and what becomes of an edition."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from pypdf import PdfReader

from engine.core.numbers import parse_number
from partners.certificates import KIND, certificate, percent, told
from partners.core.after_terms import AuditStage
from partners.core.audits import planned
from partners.core.model import Batch
from partners.pages import Place, tree_page
from partners.printing import pdf
from partners.standard import standard_terms
from partners.store.queries import BatchFacts, TreeFacts
from partners.store.stands import Stand
from tests.partners.bench import PROGRAMME, RULES
from tests.partners.world import NOW, World

FORBIDDEN = ("offset", "neutral", "compensat", "credit", "own tree", "抵消", "中和", "碳汇证书", "拥有")


def page_of(state: str, is_live: bool = True) -> dict[str, Any]:
    batch = BatchFacts("42/A", "2027-03-10", "2027-03-12", 120, 118, 2)
    tree = TreeFacts(
        7, PROGRAMME, PROGRAMME, state, "2027-spring", "", NOW, "elm", 42, "monitoring", NOW, NOW, 120, 118,
        "pooled", PROGRAMME, None, None, None, batch,
    )  # fmt: skip
    if state == "pledged":
        tree = replace(tree, batch=None, order=None)
    return tree_page(tree, Place(RULES.programmes[PROGRAMME], RULES, is_live), NOW)


def count(**changes: Any) -> Any:
    world = World()
    order = world.order(world.planted())
    batch: Batch = world.rows["batches"][f"{order.id}/1"]
    audit = planned(order, batch, AuditStage("M12", "survival", 1, 12), standard_terms(), "")
    done = replace(
        audit, state="done", verdict="in_band", visited_on="2027-09-15", method="plots", surveyor="Gansu institute",
        n=250, alive=223, rate_bp=8920, low_bp=8371, high_bp=9469, plots=[[str(no), 25, 22] for no in range(10)],
    )  # fmt: skip
    return replace(done, **changes)


STAND = Stand("City of Wuwei", 118, 0, 12, (2, 3), (count(),), "2029-08-15", (), "")


def words(found: Any) -> str:
    return str(told(found, None))


def test_until_it_is_verified_a_tree_has_a_pledge_card() -> None:
    for state in ("pledged", "ordered", "confirmed", "planted"):
        card = certificate(page_of(state), 7, replace(STAND, counts=(), verified=0))
        assert card.kind == "pledge"
        assert card.title("zh") == "认捐卡"
        assert "尚未核验种植" in words(card)
        assert "Survival" not in words(card)


def test_a_certificate_tells_funder_granularity_and_the_last_count() -> None:
    found = certificate(page_of("verified"), 7, STAND)
    lines = dict(found.lines("en"))
    assert lines["Survival"] == (
        "89.2 % (95 % interval 83.7 %–94.7 %), 2027-09-15, 250 trees in 10 plots, by Gansu institute"
    )
    assert lines["Funded by"] == "City of Wuwei"
    assert lines["Counted as"] == "pooled: one of many on a plot"
    assert lines["Verified by"] == "the platform, an independent party"
    assert lines["Trees replanted"] == "12"
    assert dict(found.lines("zh"))["成活率"].startswith(
        "89.2 %（95% 区间 83.7 %–94.7 %），2027-09-15，10 个样地 250 株"
    )


def test_the_two_figures_are_told_apart_and_what_was_not_counted_is_unknown() -> None:
    later = count(
        stage="M36", figure="preservation", rate_bp=7100, visited_on="2029-09-20", is_conflicted=True
    )
    lines = dict(certificate(page_of("established"), 7, replace(STAND, counts=(count(), later))).lines("en"))
    assert lines["Survival"].startswith("89.2 %")
    assert lines["Preservation"].startswith("71.0 %")
    assert lines["Preservation"].endswith("the surveyor has an interest")
    none = dict(certificate(page_of("verified"), 7, replace(STAND, counts=())).lines("en"))
    assert none["Last count"] == "none yet, planned from 2029-08-15"
    assert "Survival" not in none


@pytest.mark.parametrize("state", ["pledged", "planted", "verified", "established", "withdrawn"])
def test_no_wording_claims_more_than_a_fact(state: str) -> None:
    text = words(certificate(page_of(state), 7, STAND)).lower()
    assert not [word for word in FORBIDDEN if word in text]


def test_a_simulated_partner_is_called_so() -> None:
    assert "并没有真实的树" in words(certificate(page_of("verified", is_live=False), 7, STAND))
    assert "并没有真实的树" not in words(certificate(page_of("verified"), 7, STAND))


def test_the_number_has_a_check_character_and_the_edition_is_what_it_says() -> None:
    found = certificate(page_of("verified"), 7, STAND)
    assert parse_number(KIND, found.number) == 7
    again = certificate(page_of("verified"), 7, replace(STAND))
    assert found.edition == again.edition
    later = certificate(page_of("verified"), 7, replace(STAND, replanted=20))
    assert later.edition != found.edition
    assert told(found, found.edition[:12])["state"] == "valid"
    assert told(later, found.edition[:12])["state"] == "updated"
    assert told(certificate(page_of("withdrawn"), 7, STAND), found.edition)["state"] == "withdrawn"


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("state", ["pledged", "verified", "withdrawn"])
def test_the_pdf_says_what_the_certificate_says(language: str, state: str) -> None:
    found = certificate(page_of(state), 7, STAND)
    address = f"https://trees.example/v1/certificates/{found.number}?edition={found.edition[:12]}"
    body = pdf(found, language, address)
    reader = PdfReader(io.BytesIO(body))
    assert len(reader.pages) == 1
    text = "".join(reader.pages[0].extract_text().split())
    for wanted in (found.title(language), found.number, found.edition[:12], *found.statements(language)):
        assert "".join(wanted.split()) in text
    for label, fact in found.lines(language):
        assert "".join(label.split()) in text
        assert "".join(fact.split()) in text
    assert len(reader.pages[0].images) == 1
    assert len(body) < 100_000


def test_long_facts_stay_on_the_page() -> None:
    stand = replace(STAND, funder="基金会" * 40, counts=(count(surveyor="Institute of " * 12),))
    body = pdf(certificate(page_of("verified"), 7, stand), "zh", "https://trees.example/" + "x" * 200)
    assert len(PdfReader(io.BytesIO(body)).pages) == 1


@pytest.mark.parametrize(
    ("bp", "text"), [(8925, "89.3 %"), (8924, "89.2 %"), (10_000, "100.0 %"), (0, "0.0 %")]
)
def test_percent_is_rounded_half_up(bp: int, text: str) -> None:
    assert percent(bp) == text
