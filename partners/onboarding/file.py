"""The onboarding file: all that an operator knows of a partner, in one strict YAML (or JSON) file.

It is read like rule files: every problem is told with its line, what was expected and what to do. What a file says
is carried out by the same commands as everything else; a file that was carried out before changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from engine.rulefiles.cited_models import Names, Strict
from engine.rulefiles.reading import Document, Problem, path_text, read_document
from engine.rulefiles.reading import parse_document as parse
from engine.rulefiles.scalars import Currency, Day, Id, MonthDay, Region, Text, Truth, Whole
from engine.rulefiles.wording import findings_of
from partners.core.records import commands as c
from partners.core.records.agreed import AgreementTerms, Band, Milestone, Price, Timers, Window
from partners.core.records.land import GEOMETRY_BYTES_MAX

ROWS_MAX = 500


class DocumentRow(Strict):
    """A vetting document."""

    kind: Literal["registration", "tax", "land_use", "insurance", "nursery", "child_protection", "other"] = (
        Field(description="what it is")
    )
    number: Text = Field(description="its number")
    issuer: Text = Field(description="who issued it")
    expires_on: Day = Field(description="last day on which it is valid")
    sha256: Text | None = Field(default=None, description="SHA-256 of the file, if it is kept somewhere")


class ContactRow(Strict):
    """Whom to ask. The first of a role is asked first."""

    role: Literal["orders", "reports", "money", "emergency"] = Field(description="for what")
    name: Text = Field(description="who")
    address: Text = Field(
        description="mail address or telephone number; kept in one table, shown to operators only"
    )


class PartnerPart(Strict):
    """Who it is."""

    id: Id = Field(description="id, as programmes name it")
    names: Names = Field(description="legal name")
    country: Region = Field(description="ISO 3166 code of the country")
    kind: Literal["ngo", "foundation", "bureau", "provider", "simulated"] = Field(description="what it is")
    tier: Whole = Field(description="how well it was looked at: 1 papers, 2 visited, 3 audited")
    currency: Currency = Field(description="in which it is paid")
    languages: list[Text] = Field(min_length=1, description="in which it can be written to")
    documents: list[DocumentRow] = Field(default_factory=list, description="vetting documents")
    contacts: list[ContactRow] = Field(default_factory=list, description="people, in order of escalation")
    status: Literal["applied", "vetting", "active"] = Field(
        default="vetting", description="how far it has come"
    )


class PriceRow(Strict):
    """What one plant costs."""

    species: Id = Field(description="id of a species of the rulebook")
    unit_price_minor: Whole = Field(description="in minor units of the currency")
    site: Id | None = Field(default=None, description="only on this site")


class TimerRows(Strict):
    """Days after which something happens when nobody acts."""

    reminders_d: list[Whole] = Field(min_length=1, description="days without an answer before each reminder")
    escalate_d: Whole = Field(description="days without an answer before a person looks")
    expire_d: Whole = Field(description="days without an answer before the order ends")
    hold_d: Whole = Field(description="days for which a draft holds its places")
    report_d: Whole = Field(description="days after the season before a report is late")
    report_escalate_d: Whole = Field(description="days after the season before a person looks")
    payments_hold_d: Whole = Field(description="days after the season before payments stop")
    dispute_answer_workdays: Whole | None = Field(
        default=None,
        description="working days to the first answer to a dispute; the standard ones if left out",
    )
    dispute_decide_d: Whole | None = Field(default=None, description="days to the decision of a dispute")
    disturbance_report_d: Whole | None = Field(
        default=None, description="days in which fire, flood and their like are to be reported"
    )


class WindowRow(Strict):
    """A planting season of every year."""

    id: Id = Field(description="spring, autumn …")
    order_by: MonthDay = Field(description="last day on which an order can join it")
    opens: MonthDay = Field(description="first day of planting")
    closes: MonthDay = Field(description="last day of planting; before opens means the next year")


class BandRow(Strict):
    """The share of planted trees that must stand."""

    pct: Whole = Field(description="per cent")
    reading: Literal["estimate", "lower_bound"] = Field(
        description="which figure of the audit must reach it: the estimate, or the lower bound of its interval"
    )


class SurvivalRows(Strict):
    """Bands of the two audits."""

    m12: BandRow = Field(description="after twelve months (成活率)")
    m36: BandRow = Field(description="after thirty-six months (保存率)")


class MilestoneRow(Strict):
    """What is paid when."""

    when: Literal["accepted", "planted", "verified", "m12_in_band", "m36_in_band", "completed"] = Field(
        description="what must have come"
    )
    pct: Whole = Field(description="per cent of the price; all together 100")


class ClaimRow(Strict):
    """Whose tree it is."""

    policy: Literal["exclusive", "co_funded"] = Field(description="ours alone, or shared with others who pay")
    share_pct: Whole = Field(default=100, description="our share, per cent")


class AgreementPart(Strict):
    """What is agreed."""

    version: Whole = Field(description="1, 2, …; an active version is never changed")
    starts_on: Day = Field(description="first day")
    ends_on: Day = Field(description="last day")
    currency: Currency = Field(description="of all prices")
    minimum_trees: Whole = Field(description="smallest order")
    tolerance_pct: Whole = Field(description="how much more than accepted may be delivered, per cent")
    prices: list[PriceRow] = Field(min_length=1, description="by species and site")
    seasons: list[WindowRow] = Field(min_length=1, description="planting windows")
    timers: TimerRows = Field(description="reminders, escalation, expiry")
    survival: SurvivalRows = Field(description="survival bands")
    milestones: list[MilestoneRow] = Field(min_length=1, description="payments")
    evidence_min: Whole = Field(description="files of evidence for each batch, at least")
    replacement_pays: Literal["partner", "funder", "shared"] = Field(description="who pays for replacements")
    claim: ClaimRow = Field(description="claim policy")
    law: Text = Field(description="which law holds")
    dispute_route: Text = Field(description="who decides when the two do not agree")
    status: Literal["draft", "active"] = Field(default="draft", description="active: it counts from now")


class LandRightRow(Strict):
    """By what right it plants there."""

    kind: Text = Field(description="lease, ownership, permit …")
    number: Text = Field(description="number of the document")
    holder: Text = Field(description="whose right it is")


class SiteRow(Strict):
    """A place."""

    id: Id = Field(description="id of the site")
    names: Names = Field(description="what people call it")
    region: Region = Field(description="ISO 3166-2 code")
    county: Text | None = Field(default=None, description="county")
    township: Text | None = Field(default=None, description="township")
    compartment: Text | None = Field(default=None, description="forest compartment number")
    ecosystem: Text | None = Field(default=None, description="what grows there")
    area_m2: Whole = Field(description="area in square metres")
    datum: Literal["WGS84", "CGCS2000", "GCJ02", "BD09"] = Field(description="of the coordinates")
    geometry: Text = Field(description="a GeoJSON file beside this one, or the GeoJSON text itself")
    land_right: LandRightRow = Field(description="the document that gives the right to plant")
    shown_m: Literal[0, 100, 1000, 10000] | None = Field(
        default=None,
        description="how exactly the public may know its place, in metres; 0: the outline; 1000 if left out",
    )
    status: Literal["draft", "in_review", "approved"] = Field(
        default="draft", description="how far it has come"
    )


class SpeciesRow(Strict):
    """A species that it raises and plants."""

    species: Id = Field(description="id of a species of the rulebook")
    gbif_key: Whole = Field(description="GBIF taxon key; 0: not matched yet")
    checklist: Text = Field(description="in which checklist the name was looked up")
    typed_name: Text = Field(description="the name as the partner wrote it")
    native: Truth = Field(description="whether it is native there")
    kind: Literal["tree", "shrub", "mangrove", "grass"] = Field(description="what it is")


class QuotaRow(Strict):
    """How many trees of a species a site takes in a season."""

    site: Id = Field(description="id of a site")
    species: Id = Field(description="id of a species")
    season: Text = Field(description="year and window, 2027-spring")
    capacity: Whole = Field(description="trees")


class OnboardingFile(Strict):
    """One partner with all its records."""

    partner: PartnerPart = Field(description="who it is")
    agreement: AgreementPart | None = Field(default=None, description="what is agreed")
    species: list[SpeciesRow] = Field(default_factory=list, max_length=ROWS_MAX, description="what it plants")
    sites: list[SiteRow] = Field(default_factory=list, max_length=ROWS_MAX, description="where")
    quotas: list[QuotaRow] = Field(default_factory=list, max_length=ROWS_MAX, description="how many")


class OnboardingError(Exception):
    """A file that can't be used; the text names each problem with file, line and fix."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A command of the file, and where in the file it comes from."""

    command: Any
    line: int
    path: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand already: statuses by id, empty where there is no record."""

    partner: str = ""
    agreement: str = ""
    sites: dict[str, str] | None = None


def read_onboarding(path: Path) -> tuple[OnboardingFile, Document]:
    """The file, geometries read in. Raises OnboardingError with everything that is wrong."""
    document, problems = read_document(path, path.name)
    return _checked(document, problems, path.parent)


def parse_onboarding(data: bytes, name: str) -> tuple[OnboardingFile, Document]:
    """The same of bytes that were sent; geometries are in the text. Raises OnboardingError."""
    document, problems = parse(data, name)
    return _checked(document, problems, None)


def wishes(file: OnboardingFile, document: Document, operator: str, standing: Standing) -> Iterator[Wish]:
    """The commands of the file in the order in which they can be carried out."""
    partner = file.partner

    def wish(command: Any, *path: Any) -> Wish:
        return Wish(command, document.line_of(path), path_text(path))

    yield wish(
        c.RecordPartner(
            None,
            operator,
            partner.id,
            partner.names.zh,
            partner.names.en,
            partner.country,
            partner.kind,
            partner.tier,
            partner.currency,
            tuple(partner.languages),
        ),
        "partner",
    )
    for place, row in enumerate(partner.documents):
        expires_on = row.expires_on.isoformat()
        command = c.RecordDocument(
            None, operator, partner.id, row.kind, row.number, row.issuer, expires_on, row.sha256 or ""
        )
        yield wish(command, "partner", "documents", place)
    if partner.contacts:
        people = tuple(c.ContactWish(one.role, one.name, one.address) for one in partner.contacts)
        yield wish(c.SetContacts(None, operator, partner.id, people), "partner", "contacts")
    for status in _steps(standing.partner or "applied", partner.status, ("applied", "vetting", "active")):
        yield wish(c.MovePartner(None, operator, partner.id, status), "partner", "status")
    yield from (wish(*one) for one in _agreement(file, operator, standing))
    yield from (wish(*one) for one in _land(file, operator, standing))


def _agreement(file: OnboardingFile, operator: str, standing: Standing) -> Iterator[tuple[Any, ...]]:
    told, partner = file.agreement, file.partner.id
    if told is None:
        return
    starts_on, ends_on = told.starts_on.isoformat(), told.ends_on.isoformat()
    yield (
        c.RecordAgreement(None, operator, partner, told.version, starts_on, ends_on, terms_of(told)),
        "agreement",
    )
    if told.status == "active" and standing.agreement not in ("superseded", "ended"):
        yield c.MoveAgreement(None, operator, partner, told.version, "active"), "agreement", "status"


def _land(file: OnboardingFile, operator: str, standing: Standing) -> Iterator[tuple[Any, ...]]:
    partner = file.partner
    for place, row in enumerate(file.species):
        command: Any = c.RecordSpeciesOffer(
            None,
            operator,
            partner.id,
            row.species,
            row.gbif_key,
            row.checklist,
            row.typed_name,
            row.native,
            row.kind,
        )
        yield command, "species", place
    for place, site in enumerate(file.sites):
        command = c.RecordSite(
            key=None,
            operator=operator,
            site=site.id,
            partner=partner.id,
            name_zh=site.names.zh,
            name_en=site.names.en,
            country=partner.country,
            region=site.region,
            geometry=site.geometry,
            area_m2=site.area_m2,
            datum=site.datum,
            county=site.county or "",
            township=site.township or "",
            compartment=site.compartment or "",
            ecosystem=site.ecosystem or "",
            land_right=site.land_right.model_dump(),
            shown_m=site.shown_m,
        )
        yield command, "sites", place
        was = (standing.sites or {}).get(site.id) or "draft"
        for status in _steps(was, site.status, ("draft", "in_review", "approved")):
            yield c.MoveSite(None, operator, site.id, status), "sites", place, "status"
    for place, quota in enumerate(file.quotas):
        command = c.SetQuota(None, operator, quota.site, quota.species, quota.season, quota.capacity)
        yield command, "quotas", place


def terms_of(told: AgreementPart) -> AgreementTerms:
    """The terms as the core keeps them."""
    timers = told.timers.model_dump()
    return AgreementTerms(
        currency=told.currency,
        minimum_trees=told.minimum_trees,
        tolerance_pct=told.tolerance_pct,
        prices=tuple(Price(one.species, one.unit_price_minor, one.site or "") for one in told.prices),
        seasons=tuple(
            Window(one.id, _month_day(one.order_by), _month_day(one.opens), _month_day(one.closes))
            for one in told.seasons
        ),
        timers=Timers(**{**timers, "reminders_d": tuple(timers["reminders_d"])}),
        survival_m12=Band(told.survival.m12.pct, told.survival.m12.reading),
        survival_m36=Band(told.survival.m36.pct, told.survival.m36.reading),
        milestones=tuple(Milestone(one.when, one.pct) for one in told.milestones),
        evidence_min=told.evidence_min,
        replacement_pays=told.replacement_pays,
        claim_policy=told.claim.policy,
        claim_share_pct=told.claim.share_pct,
        law=told.law,
        dispute_route=told.dispute_route,
    )


# --- reading ----------------------------------------------------------------------------------------


def _checked(
    document: Document | None, problems: Sequence[Problem], folder: Path | None
) -> tuple[OnboardingFile, Document]:
    if document is None:
        raise OnboardingError("\n".join(map(str, problems)))
    try:
        file = OnboardingFile.model_validate(document.tree)
    except ValidationError as error:
        found = [
            Problem(
                document.file,
                document.line_of(one.path),
                path_text(one.path),
                one.found,
                one.expected,
                one.fix,
            )
            for one in findings_of(error, OnboardingFile, document)
        ]
        raise OnboardingError("\n".join(map(str, sorted(found)))) from error
    sites, wrong = [], []
    for place, site in enumerate(file.sites):
        geometry, problem = _geometry(site.geometry, folder)
        if problem is not None:
            path = ("sites", place, "geometry")
            wrong.append(Problem(document.file, document.line_of(path), path_text(path), *problem))
        sites.append(site.model_copy(update={"geometry": geometry}))
    if wrong:
        raise OnboardingError("\n".join(map(str, wrong)))
    return file.model_copy(update={"sites": sites}), document


def _geometry(told: str, folder: Path | None) -> tuple[str, tuple[str, str, str] | None]:
    """GeoJSON text of a MultiPolygon, or what is wrong (found, expected, fix)."""
    text = told
    if not told.lstrip().startswith("{"):
        if folder is None:
            return "", ("a file's name", "the GeoJSON text itself", "put the text here")
        try:
            with (folder / told).open("rb") as source:
                data = source.read(GEOMETRY_BYTES_MAX + 1)
            text = data.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as problem:
            return "", (
                f"{told!r}, which can't be read",
                "a GeoJSON file beside this one",
                str(problem)[:120],
            )
        if len(data) > GEOMETRY_BYTES_MAX:
            return "", (
                f"more than {GEOMETRY_BYTES_MAX:,} bytes",
                "a simpler polygon",
                "thin out its points",
            )
    try:
        shape = json.loads(text)
    except (ValueError, RecursionError):
        return "", ("something that is not JSON", "GeoJSON", "export it as GeoJSON")
    polygons = _polygons(shape)
    if not polygons:
        found = str(shape.get("type", "no type"))[:40] if isinstance(shape, dict) else "no object"
        return "", (found, "a Polygon, a MultiPolygon, or features of them", "leave points and lines out")
    return json.dumps({"type": "MultiPolygon", "coordinates": polygons}, separators=(",", ":")), None


def _polygons(shape: Any) -> list[Any]:
    """The polygons of a geometry, a feature or a collection, kept whole; none where there is anything else."""
    if not isinstance(shape, dict):
        return []
    kind, inside = shape.get("type"), shape.get("coordinates")
    if kind == "Polygon" and isinstance(inside, list):
        return [inside]
    if kind == "MultiPolygon" and isinstance(inside, list):
        return inside
    if kind == "Feature":
        return _polygons(shape.get("geometry"))
    if kind == "FeatureCollection" and isinstance(shape.get("features"), list):
        parts = [_polygons(feature) for feature in shape["features"]]
        return [polygon for part in parts for polygon in part] if all(parts) else []
    return []


def _steps(was: str, wanted: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """The steps from where it stands to where the file wants it; none backwards, and none for what has left the
    path (suspended, retired): a file that is carried out again undoes no decision."""
    if was not in path:
        return ()
    return path[path.index(was) + 1 : path.index(wanted) + 1]


def _month_day(found: tuple[int, int]) -> str:
    return f"{found[0]:02d}-{found[1]:02d}"
