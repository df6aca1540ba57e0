"""The only way the core says no: a code with fields. Edges map codes to statuses; the core knows neither."""

CODES: dict[str, str] = {
    # every command
    "key_reused": "This idempotency key is bound to another command or another user.",
    "bad_request": "The request does not have the expected shape.",
    "forbidden": "This caller may not do that.",
    "token_expired": "The token's time is over; fetch a new one.",
    "token_invalid": "The token is forged, foreign or broken.",
    "overloaded": "The engine is busy; try again shortly with the same key.",
    "unavailable": "The database is away; try again shortly with the same key.",
    "internal": "The engine failed on this command; nothing was changed.",
    # accounts, links and sources
    "unknown_user": "There is no such account.",
    "account_exists": "An account with this reference is already open.",
    "account_suspended": "The account is suspended.",
    "account_closed": "The account is closed.",
    "bad_zone": "The time zone is not an IANA zone name.",
    "unknown_source": "There is no such source.",
    "source_exists": "A source with this id is already registered.",
    "source_not_allowed": "The source may not report this behaviour.",
    "not_linked": "No live consent joins this subject to an account for this behaviour.",
    "bad_source": "What the source states of itself does not fit together; `field` says where.",
    "subject_taken": "This subject is already linked to an account.",
    "behaviours_missing": "A link names at least one behaviour that the source may report.",
    # activities
    "unknown_behaviour": "The rulebook has no such behaviour.",
    "not_in_force": "The behaviour is not in force on that day.",
    "wrong_unit": "The quantity is not in the unit of the behaviour.",
    "quantity_out_of_range": "The quantity is outside the range that the behaviour allows.",
    "missing_attribute": "The behaviour needs an attribute that was not sent.",
    "bad_attribute": "An attribute has a value that the behaviour does not accept.",
    "unknown_evidence": "The behaviour has no such kind of evidence.",
    "day_missing": "A running total needs the local day that it counts (on).",
    "instant_missing": "The behaviour needs the instant of the act (at).",
    "in_future": "The activity lies in the future.",
    "activity_conflict": "The activity id is known with other content.",
    "unknown_activity": "The source has reported no such activity.",
    "activity_reversed": "The activity was reversed by its source.",
    "wrong_evidence": "The behaviour does not know this kind of evidence, or the source may not claim it.",
    "too_many_acts": "The user's acts of that day that must be compared with each other are at their limit.",
    # acts that users show
    "photo_invalid": "The body is no photo that can be read: JPEG, PNG or WebP of one picture.",
    "photo_too_large": "The photo has more pixels than this server takes.",
    "too_many_photos": "The user's uploads of today are at their limit.",
    "photo_reused": "This photo was shown before.",
    "unknown_photo": "The user has uploaded no such photo.",
    "not_shown": "The behaviour's rule knows no evidence that a user could show.",
    "too_many_shown": "The acts that the user may show of one day are at their limit.",
    "unknown_review": "There is no such activity to be looked at.",
    "review_decided": "Somebody has looked at this activity and decided otherwise.",
    # balls
    "unknown_ball": "The forest has no such ball.",
    "not_ripe": "The ball is still growing.",
    "head_start": "The ball is still reserved for its owner.",
    "expired": "The ball's life is over.",
    "already_collected": "This user already collected from the ball.",
    "nothing_left": "Nothing is left that this user may take.",
    # friends
    "not_friends": "The two users are not friends.",
    "self_friend": "Nobody befriends their own account.",
    "already_friends": "The two users are already friends.",
    "already_asked": "The request is already waiting for an answer.",
    "not_asked": "No friend request is waiting.",
    "not_available": "This user can't be asked.",
    "too_many_friends": "One of the two has reached the limit of friends.",
    # offers
    "unknown_offer": "There is no such offer.",
    "unknown_programme": "The rulebook has no such programme.",
    "coming": "The offer's season has not opened.",
    "sold_out": "No tree of this offer is left.",
    "energy_lacking": "The wallet does not hold the energy that the offer asks for.",
    "not_funded": "No funding commitment covers this many trees.",
    "unknown_tree": "There is no such tree.",
    # public numbers and planting orders
    "bad_number": "This is not the number of a tree or order; its reason says what is wrong with it.",
    "bad_signature": "The signature, its key or its time stamp is not accepted.",
    "season_missing": "The programme has no planting season that takes orders.",
    "unknown_partner": "There is no such partner.",
    "unknown_order": "This partner has no such planting order.",
    "order_ended": "The planting order has ended; nothing more can be said about it.",
    "order_held": "The planting order is held until a person has looked at it.",
    "already_reported": "Planting has been reported; the order can't be cancelled any more.",
    "message_reused": "The message id is known with other content.",
    "not_planted": "Only an order that was declared planted can be reviewed.",
    "own_review": "Nobody reviews what they submitted.",
    "over_verified": "More trees would be verified than were reported.",
    "nothing_verified": "A verified order has at least one verified tree.",
    "evidence_missing": "A batch without evidence can't be verified.",
    "evidence_reused": "A batch shows evidence that another batch showed before.",
    "evidence_not_uploaded": "A batch names files that were not uploaded.",
    "evidence_refused": "The evidence of a batch is refused; its assessment names the reasons.",
    "unknown_batch": "The order has no such batch.",
    # evidence: uploads and outlines
    "unknown_upload": "There is no such upload, or its time is over.",
    "upload_offset": "Bytes must be sent from where the upload has come to; `offset` says where.",
    "upload_checksum": "What came does not have the checksum that was stated; it was not taken.",
    "upload_version": "The request names no version of the tus protocol that this server speaks.",
    "upload_locked": "Another request is writing to this upload.",
    "too_many_uploads": "The partner's unfinished uploads are at their limit; finish or end some.",
    "storage_full": "There is no room for files now; nothing was lost, try again later.",
    "outline_invalid": "The outline can't be used; `reason` and `place` say what is wrong and where.",
    "unknown_delivery": "There is no such delivery.",
    "lease_lost": "Another relay has this delivery, or it was settled already.",
    "not_stuck": "Only a delivery that waits for a person can be resolved.",
    # rulebooks and their editions
    "rulebook_broken": "The rulebook is not fit for use; its problems are told.",
    "rulebook_missing": "This engine keeps no rulebook with that hash.",
    "unknown_edition": "There is no edition with this number.",
    "already_in_force": "This rulebook is the one in force.",
    "rules_moved": "Another edition has come into force since the rulebook was checked; try again.",
    "own_proposal": "Nobody approves what they proposed: a second person does.",
    "not_proposed": "Only a proposed edition can be approved.",
    "not_running": "Only a proposal, a planned edition or a running canary can be withdrawn or promoted.",
    "edited_in_place": "Values that were in force are changed or gone; add them with a new date instead.",
    "over_budget": "The trees are expected to cost more than commitments hold.",
    "bad_population": "The file that the forecast takes its people from is no population.",
    "too_many_proposals": "Too many proposals wait for approval; approve or withdraw some.",
    "canary_running": "A canary runs or is planned; promote or withdraw it first.",
    "canary_programmes": "A canary has the same programmes as the rulebook in force.",
    "edition_planned": "An edition waits for its instant; let it begin or withdraw it first.",
    "nothing_earlier": "There is no earlier rulebook to go back to.",
}


class Rejected(Exception):
    """A refusal: one code of `CODES` with the fields that explain it. Nothing was changed, nothing is stored."""

    def __init__(self, code: str, **fields: object) -> None:
        super().__init__(code)
        self.code = code
        self.fields = fields

    def __str__(self) -> str:
        about = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"{self.code}: {CODES.get(self.code, '')}" + (f" ({about})" if about else "")
