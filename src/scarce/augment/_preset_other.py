"""The presets of texts, sounds and series, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Settings = Mapping[str, Any]

OTHER_PRESETS: Final[Mapping[str, tuple[str, tuple[tuple[str, Settings], ...]]]] = {
    "text": (
        """one of the four small edits of EDA for each variant, one word at a time, since more edits in a short text
        turn its meaning; stop words stay, since "not" decides a review""",
        (("eda", {"n": 1, "deletion": 0.1}),),
    ),
    "sound": (
        """the same word is said faster and higher by another speaker, starts earlier, and is recorded in another room;
        bands and moments are masked so that no single one decides; the pitch moves by one semitone only, since bands
        carry the vowels""",
        (
            ("speed", {"factor": [0.9, 1.1], "probability": 0.5}),
            ("pitch", {"semitones": [-1.0, 1.0], "probability": 0.3}),
            ("sound_shift", {"share": 0.1, "probability": 0.5}),
            ("spec_augment", {"probability": 0.5}),
            ("sound_noise", {"decibels": [15.0, 40.0], "probability": 0.5}),
        ),
    ),
    "series": (
        """sensors differ a little in gain and noise, and processes in pace; the order of the parts and the sign of the
        values carry the class, so that nothing is permuted or turned over""",
        (
            ("window_warp", {"probability": 0.5}),
            ("time_warp", {"sigma": 0.1, "probability": 0.5}),
            ("magnitude_warp", {"sigma": 0.1, "probability": 0.5}),
            ("scaling", {"sigma": 0.05, "probability": 0.5}),
            ("jitter", {"sigma": 0.03, "probability": 0.5}),
        ),
    ),
}
"""Preset to (reason, operations)."""
