"""Replays recorded operations on samples: the same pixels whatever the order, the batch or the number of workers.

A recipe is one line of JSON that a grown row carries instead of pixels::

    {"v": 1, "cv": "4.13", "base": "<parent id>", "seed": 0, "copy": 3,
     "ops": [{"op": "augment.flip", "params": {"horizontal": true}},
             {"op": "synthesize.cut_paste", "params": {"patch": "<id>", "x": 0.4}}]}

``params`` hold what was *drawn*, in shares of the image, so that replaying needs no random numbers and a recipe can be
written without opening the picture. Draws come from ``default_rng([seed, key64(base), operation index, copy])``.
Neighboring geometric operations are composed and resampled once, neighboring color operations become one table or
one matrix. An operation is the plugin
``stage.name``; this module imports no stage, the registry does on demand.
"""

from __future__ import annotations

from scarce.recipe._grow import growable, grown_columns, real_rows_of_class, refuse_ungrown, with_reasons
from scarce.recipe._mask import fit_mask, mask_opener, read_mask
from scarce.recipe._pending import Pending
from scarce.recipe._replay import (
    ALONE,
    Operation,
    Params,
    Parents,
    Recipe,
    Scene,
    checked,
    checked_seed,
    find,
    finished,
    opencv_version,
    parse,
    render_full,
    replay,
    rows_of_one,
    warp,
    write,
)
from scarce.recipe._sample import PARTNER, is_sample, render, replay_sample
from scarce.recipe._tone import Tone
from scarce.recipe._warp import BORDERS, compose, warp_boxes, warp_images, warp_one

__all__ = [
    "ALONE",
    "BORDERS",
    "PARTNER",
    "Operation",
    "Params",
    "Parents",
    "Pending",
    "Recipe",
    "Scene",
    "Tone",
    "checked",
    "checked_seed",
    "compose",
    "find",
    "finished",
    "fit_mask",
    "growable",
    "grown_columns",
    "is_sample",
    "mask_opener",
    "opencv_version",
    "parse",
    "read_mask",
    "real_rows_of_class",
    "refuse_ungrown",
    "render",
    "render_full",
    "replay",
    "replay_sample",
    "rows_of_one",
    "warp",
    "warp_boxes",
    "warp_images",
    "warp_one",
    "with_reasons",
    "write",
]
