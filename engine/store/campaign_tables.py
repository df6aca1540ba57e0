"""Tables of campaigns; see `engine.core.campaign_rows`."""

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from engine.store.tables import json_text, not_negative, text, whole


class Campaigns(SQLModel, table=True):
    """What ties commitments to behaviours; ids are those of the commitments."""

    __tablename__ = "campaigns"
    __table_args__ = (Index("ix_campaigns_programme", "programme"),)
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    name: str = Field(sa_column=text())
    programme: str = Field(sa_column=text())
    from_on: str = Field(sa_column=text())
    until_on: str = Field(sa_column=text())
    redeem_until_on: str = Field(sa_column=text())
    started_by: str = Field(sa_column=text())
    started_at: int = Field(sa_column=whole())
    behaviours: str = Field(sa_column=json_text())


class CampaignUses(SQLModel, table=True):
    """How much of users' energy of campaigns has become trees."""

    __tablename__ = "campaign_uses"
    __table_args__ = not_negative("campaign_uses", "used_g", "trees")
    campaign: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    user_id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    used_g: int = Field(sa_column=whole())
    trees: int = Field(sa_column=whole())
