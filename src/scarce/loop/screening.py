"""Screen the synthetic samples of a dataset, and show a person what was accepted and refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Dataset, Ints

if TYPE_CHECKING:
    from scarce.synthesize.screen import Screened

SHOWN: Final = 48
"""Samples of each side on the page, the classes and the reasons in turn."""


def screened(ds: Dataset, folder: Path, *, seed: int = 0, **wanted: Any) -> tuple[Dataset, Screened]:
    """Screen all kept synthetic samples; write ``screen.json`` and ``screen.html``.

    People veto through the review queue: ``scarce review --kind synthetic`` asks about samples that are left.

    Args:
        ds: split, with features of the real training samples.
        folder: where the files go; made if needed.
        seed: of the screens.
        wanted: ``only``, ``embedding``, ``settings``, ``most_share`` of :func:`scarce.synthesize.screen.judge`.

    Returns:
        The data with refused samples set aside, and what was found.
    """
    from scarce.synthesize import screen

    found = screen.judge(screen.training_view(ds), seed=seed, **wanted)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "screen.json").write_text(json.dumps(found.to_json(), indent=1) + "\n", "utf-8")
    (folder / "screen.html").write_text(page(ds, found), "utf-8")
    params = {key: value for key, value in wanted.items() if value is not None}
    return screen.applied(ds, found, params={**params, "seed": seed}), found


def page(ds: Dataset, found: Screened) -> str:
    """Return the gallery of accepted and refused samples as one HTML file."""
    from scarce.loop.gallery import exhibits, how
    from scarce.report.screened import screened_page

    accepted = _spread(np.flatnonzero(found.accepted), found.classes.tolist())
    kinds = [f"{name}|{why.partition(':')[0]}" for name, why in zip(found.classes, found.reasons, strict=True)]
    refused = _spread(np.flatnonzero(~found.accepted), kinds)
    ids = [str(found.ids[row]) for row in (*accepted, *refused)]
    shown = exhibits(ds, ids)
    recipes = dict(zip(ids, ds.table["recipe"].take(ds.rows_of(ids)).to_pylist(), strict=True))
    named = {name: replace(shown[name], name=how(recipes[name]) or shown[name].name) for name in ids}
    return screened_page(
        found.to_json(), [named[str(found.ids[row])] for row in accepted],
        [(named[str(found.ids[row])], found.reasons[row]) for row in refused],
    )  # fmt: skip


def _spread(rows: Ints, kinds: Sequence[str]) -> list[int]:
    """Return at most ``SHOWN`` rows, one of each kind in turn."""
    seen: dict[str, int] = {}
    ranked = []
    for row in rows.tolist():
        turn = seen[kinds[row]] = seen.get(kinds[row], 0) + 1
        ranked.append((turn, row))
    return [row for _, row in sorted(ranked)[:SHOWN]]
