"""What evidence is measured by: weights of reasons and limits, all of them data (partners/evidence/evidence.yaml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from partners.core.reasons import Weight


@dataclass(frozen=True, slots=True)
class EvidenceRules:
    """Weights by code, the scores at which a batch is asked about or refused, and limits with their units.

    `hash` names the file that they were read from, so that an assessment says what it was made by.
    """

    hash: str
    weights: Mapping[str, Weight]
    editors: tuple[str, ...]
    screen_words: tuple[str, ...]
    needs_info_score: int
    refused_score: int
    site_buffer_m: int
    accuracy_max_m: int
    far_m: int
    outside_share_pct: int
    datum_explains_pct: int
    datum_buffer_m: int
    zone_slack_h: int
    clock_apart_h: int
    times_apart_h: int
    camera_since_year: int
    taken_before_d: int
    taken_after_d: int
    long_before_d: int
    device_apart_m: int
    device_apart_min: int
    alike_bits_max: int
    alike_fine_bits_max: int
    alike_in_batch_min: int
    trees_per_ha_max: int
    trees_per_ha_impossible: int
    trees_per_ha_min: int
    trees_per_planter_day_max: int
    round_reports_min: int
    round_to_trees: int
    overlap_share_pct: int
    copied_share_pct: int
    screenshot_ratio_pct: int
