"""Screens for samples that are only being made: fitted once on real training samples, asked batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from scarce.dataset import Array, Floats, FoldView
from scarce.encode import encoder_of
from scarce.errors import DataError
from scarce.execute.local import spread
from scarce.lineage import digest
from scarce.synthesize.screen._base import Candidate, Exam
from scarce.synthesize.screen._run import Screened, Settings, by_turn, ordered, share_warnings

WHO: Final = "synthesize.screen"
WHOLE: Final = 3
"""The turn of screens that measure whole sets."""
AT_ONCE: Final = 16
"""Samples that one thread encodes together."""


class Gate:
    """Says of samples in memory whether they may enter, and remembers those that did.

    Everything is fitted on the real, labelled training samples of a fold, once; its evaluation side is never looked at.
    A sample's verdict depends on the real samples and on those that entered before it, not on its batch.

    Args:
        view: the fold; its training side has features of the samples that are to be fitted on.
        label: the class that will be made; it may be new.
        embedding: the features' column; "" = the newest.
        only: names of screens; None = all.
        settings: parameters per screen.
        seed: of everything drawn.
        workers: threads that encode.

    Raises:
        UnknownNameError, ConfigError: a screen or a setting is unknown.
        DataError: there are no features, or no real, labelled training sample has them.
    """

    def __init__(  # noqa: PLR0913 - one knob each
        self, view: FoldView, *, label: str = "", embedding: str = "", only: Sequence[str] | None = None,
        settings: Settings | None = None, seed: int = 0, workers: int | None = None,
    ) -> None:  # fmt: skip
        ds = view.train
        ds = ds.take(np.flatnonzero(ds["origin"] == "real"))
        held = [name for name in ds.wide if name.startswith("embedding.")]
        self.embedding, self.seed, self._workers = embedding or (held[-1] if held else ""), seed, workers
        if self.embedding not in ds.wide:
            raise DataError(WHO, "there are no features to screen by", do="run scarce encode")
        if label and label not in ds.schema.classes:
            ds = replace(ds, schema=replace(ds.schema, classes=(*ds.schema.classes, label)))
        self._ds = replace(ds, wide={self.embedding: ds.wide[self.embedding]})
        fit = np.isfinite(ds[self.embedding]).all(axis=1) & (ds["label"] >= 0)
        self._fit = frozenset(ds.ids[fit].tolist())
        if not self._fit:
            raise DataError(WHO, "no real, labelled training sample has features", do="label some, and encode")
        self._screens = ordered(only, settings)
        self._encoder = encoder_of(ds, self.embedding)
        self._memo: dict[Any, Any] = {}
        self._names: dict[str, list[str]] = {}
        self._rows: dict[str, list[Floats]] = {}
        self._canvases: dict[str, list[str]] = {}
        self._last: dict[str, Floats] = {}

    def plan(self) -> dict[str, Any]:
        """Return what the verdicts depend on, as plain values."""
        return {
            "screens": {screen.plugin_name(): screen.params() for screen in self._screens},
            "encoder": self._encoder.fingerprint(),
            "fitted_on": digest(*sorted(self._fit)),
        }

    def judge(self, candidates: Sequence[Candidate]) -> list[str]:
        """Return why each must not enter; empty if it may. Nothing is remembered: see :meth:`admit`."""
        if not candidates:
            return []
        features = self._features([candidate.content for candidate in candidates])
        self._last = dict(zip((candidate.name for candidate in candidates), features, strict=True))
        exam = self._exam(candidates, features)
        return list(by_turn([screen for screen in self._screens if screen.turn < WHOLE], exam).reasons)

    def admit(self, candidates: Sequence[Candidate]) -> None:
        """Remember samples that entered; later ones must not repeat them."""
        unknown = [candidate for candidate in candidates if candidate.name not in self._last]
        fresh = self._features([candidate.content for candidate in unknown])
        held = self._last | dict(zip((candidate.name for candidate in unknown), fresh, strict=True))
        for candidate in candidates:
            self._names.setdefault(candidate.label, []).append(candidate.name)
            self._rows.setdefault(candidate.label, []).append(held[candidate.name])
            self._canvases.setdefault(candidate.label, []).append(candidate.canvas)

    def measured(self, most_share: float = 0.5) -> Screened:
        """Return the distances of all that entered to the real samples, the synthetic share of each class, warnings."""
        entered = [
            Candidate(name, "", label, canvas)
            for label, names in self._names.items()
            for name, canvas in zip(names, self._canvases[label], strict=True)
        ]
        if not entered:
            return Screened(np.zeros(0, object), np.zeros(0, object), ())
        features = np.stack([row for rows in self._rows.values() for row in rows])
        exam = self._exam(entered, features)
        found = by_turn([screen for screen in self._screens if screen.turn == WHOLE], exam)
        share = self.share()
        return replace(found, share=share, warnings=(*found.warnings, *share_warnings(share, most_share)))

    def share(self) -> dict[str, float]:
        """Return class to synthetic share of its training samples, with those that entered."""
        real = Counter(self._ds.schema.classes[code] for code in self._ds["label"] if code >= 0)
        return {name: len(made) / (len(made) + real[name]) for name, made in self._names.items()}

    def _exam(self, candidates: Sequence[Candidate], features: Floats) -> Exam:
        known = set(self._ds.ids.tolist())
        names = [candidate.name for candidate in candidates]
        ds = self._ds.append({
            "id": names, "label": [candidate.label for candidate in candidates],
            "origin": ["synthetic"] * len(names), "split": ["train"] * len(names),
            "parents": [[name for name in candidate.parents if name in known] for candidate in candidates],
            **self._inherited(candidates),
        })  # fmt: skip
        order = {name: place for place, name in enumerate(names)}
        made = np.flatnonzero(ds["origin"] == "synthetic")
        places = [order[name] for name in ds.ids[made].tolist()]
        wide = ds.wide[self.embedding].copy()
        wide[made] = features[places]
        ds = replace(ds, wide={self.embedding: wide})
        back = np.argsort(places)
        real = np.flatnonzero(np.isin(ds.ids, list(self._fit)))
        earlier = {
            ds.schema.classes.index(name): (held, np.stack(self._rows[name])) for name, held in self._names.items()
        }
        return Exam(
            ds, real, made[back], self.embedding, self.seed, fresh=tuple(candidates), earlier=earlier, memo=self._memo
        )

    def _inherited(self, candidates: Sequence[Candidate]) -> dict[str, list[Any]]:
        """Return the groups of the canvases: what was drawn on one picture counts as one."""
        if "split_group" not in self._ds:
            return {}
        group_of = dict(zip(self._ds.ids.tolist(), self._ds["split_group"].tolist(), strict=True))
        return {"split_group": [group_of.get(candidate.canvas) for candidate in candidates]}

    def _features(self, contents: Sequence[Array | str]) -> Floats:
        """Return (B, D) features, rounded as those of real samples are kept; NaN for what cannot be encoded."""
        width = self._ds.wide[self.embedding].shape[1]
        out = np.full((len(contents), width), np.nan, np.float32)
        good = [place for place, content in enumerate(contents) if len(content)]
        parts = [good[start : start + AT_ONCE] for start in range(0, len(good), AT_ONCE)]

        def embedded(part: list[int]) -> Floats:
            self._encoder.enter_worker()
            return np.asarray(self._encoder.embed([self._encoder.reduce(contents[at]) for at in part]), np.float32)

        with self._encoder.session():
            for part, rows in zip(parts, spread(embedded, parts, workers=self._workers), strict=True):
                out[part] = rows.astype(self._encoder.stored)
        return out
