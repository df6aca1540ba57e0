"""The table of the game: for each command what it touches and who decides, for each event who evolves."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from engine.core import accounts, activities, campaigns, choosing, energy, friends, recording, redeem, showing
from engine.core import commands as c
from engine.core import events as e
from engine.core.context import Context
from engine.core.events import Decision
from engine.core.state import Touch


class Rule(NamedTuple):
    """How one kind of command is decided.

    What is not journaled is no fact of the game (leases of jobs). `is_direct`: what it touches follows from the
    command alone, whatever rows are loaded, so that it is asked once.
    """

    touches: Callable[[Any, Any], Iterator[Touch]]
    decide: Callable[[Any, Any, Context], Decision]
    is_journaled: bool = True
    is_direct: bool = False


RULES: Mapping[type, Rule] = {
    c.OpenAccount: Rule(accounts.open_touches, accounts.open_account),
    c.ChangeAccount: Rule(accounts.change_touches, accounts.change_account),
    c.SuspendAccount: Rule(accounts.one_user_touches, accounts.suspend_account),
    c.ResumeAccount: Rule(accounts.one_user_touches, accounts.resume_account),
    c.CloseAccount: Rule(accounts.close_touches, accounts.close_account),
    c.AddSource: Rule(accounts.source_touches, accounts.add_source),
    c.RotateSource: Rule(accounts.source_touches, accounts.rotate_source),
    c.LinkSource: Rule(accounts.link_touches, accounts.link_source),
    c.WithdrawLink: Rule(accounts.link_touches, accounts.withdraw_link),
    c.ReportActivity: Rule(activities.report_touches, activities.report),
    c.ReverseActivity: Rule(activities.reverse_touches, activities.reverse),
    c.KeepPhoto: Rule(showing.keep_touches, showing.keep_photo),
    c.SubmitActivity: Rule(showing.submit_touches, showing.submit_activity),
    c.ReviewActivity: Rule(showing.review_touches, showing.review_activity),
    c.CollectEnergy: Rule(energy.collect_touches, energy.collect, is_direct=True),
    c.CollectAll: Rule(energy.collect_touches, energy.collect_all, is_direct=True),
    c.BookExpiry: Rule(energy.expiry_touches, energy.book_expiry, is_direct=True),
    c.RequestFriend: Rule(friends.touches, friends.request),
    c.AnswerFriend: Rule(friends.touches, friends.answer),
    c.RemoveFriend: Rule(friends.touches, friends.remove),
    c.BlockUser: Rule(friends.touches, friends.block),
    c.FundProgramme: Rule(redeem.fund_touches, redeem.fund),
    campaigns.StartCampaign: Rule(campaigns.start_touches, campaigns.start),
    c.GrantStock: Rule(redeem.grant_touches, redeem.grant),
    c.RedeemOffer: Rule(redeem.redeem_touches, redeem.redeem),
    c.ChooseForTree: Rule(choosing.choose_touches, choosing.choose),
    c.AdvanceTrees: Rule(redeem.advance_touches, redeem.advance),
    c.WithdrawTrees: Rule(choosing.withdraw_touches, choosing.withdraw),
}

EVOLVE: Mapping[type, Callable[[Any, Any], None]] = {
    e.AccountOpened: accounts.opened,
    e.AccountChanged: accounts.changed,
    e.AccountStateChanged: accounts.state_changed,
    e.AccountErased: accounts.erased,
    e.SourceChanged: accounts.source_changed,
    e.LinkChanged: accounts.link_changed,
    e.ActivityAccepted: recording.accepted,
    e.ActivityRevised: recording.revised,
    e.ActivityExcluded: recording.excluded,
    e.ActivityRestored: recording.restored,
    e.RevisionRecorded: recording.recorded,
    e.ActivityReversed: recording.reversed_,
    e.PhotoKept: showing.photo_kept,
    e.ReviewOpened: showing.review_opened,
    e.ReviewDecided: showing.review_decided,
    e.EnergyCollected: energy.collected,
    e.EnergyExpired: energy.expired,
    e.FriendAsked: friends.asked,
    e.FriendshipBegan: friends.began,
    e.FriendshipEnded: friends.ended,
    e.UserBlocked: friends.blocked,
    e.ProgrammeFunded: redeem.funded,
    e.StockGranted: redeem.granted,
    campaigns.CampaignStarted: campaigns.started,
    e.TreeRedeemed: redeem.redeemed,
    e.TreeAdvanced: redeem.advanced,
    e.TreeKept: choosing.kept,
    e.TreeWithdrawn: choosing.withdrawn,
}
