"""Sentences about the classes, compared with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import numpy as np

from scarce import encode
from scarce.dataset import Dataset, Floats, Ints, Mask
from scarce.encode.clip import Clip, embed_texts, unit
from scarce.errors import DataError
from scarce.label.zero_shot._base import AbstractZeroShot, Judgement
from scarce.label.zero_shot._prompt import Prompt, prompts_for
from scarce.label.zero_shot._report import auroc
from scarce.metric.interval import clopper_pearson

COLUMN = "embedding.clip"


@final
@dataclass(frozen=True, kw_only=True)
class ImageText(AbstractZeroShot):
    """Compare pictures with sentences about the classes, by CLIP, SigLIP or their kin.

    Use when the classes are things or states that people write about: kinds of garments, rust, a cracked tile.
    Do not use when only an expert's eye tells the classes apart: ``prototype`` learns them from a few examples.
    Needs: pictures; the extra ``clip``; labelled rows only to prove the precision and to compare the prompts.
    Writes: logits (N, K): the model's scale times the cosine to the mean of a class's sentences. Details compare the
    prompts: AUROC of each for its class and accuracy of each template, with intervals, on the labelled rows.
    Source: Radford et al. 2021, sections 3.1.2 and 3.1.4 (prompt ensembles).

    Args:
        model: see :class:`scarce.encode.clip.Clip`.
        fit: see :class:`scarce.encode.clip.Clip`.
        templates: sentences with a gap ``{}`` for the class; empty = two common ones.
        names: ``CLASS=WORDS`` that fill the gap.
        prompts: ``CLASS=SENTENCE`` that stand as they are.
    """

    extra: ClassVar[str | None] = "clip"

    model: str = Clip.model
    fit: Literal["auto", "crop", "squash"] = "auto"
    templates: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()

    def with_features(self, ds: Dataset, *, cache: str | Path | None, workers: int | None) -> Dataset:
        """Encode with the picture side of the model."""
        prompts_for(ds.schema.classes, templates=self.templates, names=self.names, prompts=self.prompts)
        encoder = self._encoder()
        made = [step for step in ds.steps if step.stage == "encode" and step.name == "clip"]
        if COLUMN in ds.wide and made and made[-1].inputs.get("encoder") == encoder.fingerprint():
            return ds
        return encode.run(ds, encoder, cache=cache, workers=workers)

    def judge(self, ds: Dataset, known: Mask, *, seed: int) -> Judgement:  # noqa: ARG002 - nothing is drawn
        """Compare every picture with the sentences."""
        if COLUMN not in ds.wide:
            raise DataError("label.zero_shot.image_text", f"there are no features {COLUMN!r}", do="encode them first")
        prompts, notes = prompts_for(
            ds.schema.classes, templates=self.templates, names=self.names, prompts=self.prompts
        )
        texts, scale = embed_texts([prompt.text for prompt in prompts], self._encoder())
        codes = np.array([prompt.code for prompt in prompts])
        features = ds[COLUMN]
        logits = scale * (features @ class_vectors(texts, codes, len(ds.schema.classes)).T)
        rows = np.flatnonzero(known & np.isfinite(features).all(axis=1))
        details = {"prompts": compare_prompts(prompts, features[rows] @ texts.T, ds["label"][rows], ds.schema.classes)}
        details["templates"] = compare_templates(prompts, texts, features[rows], ds["label"][rows])
        return Judgement(logits, (*notes, *_weak(details["prompts"])), details)

    def _encoder(self) -> Clip:
        return Clip(model=self.model, fit=self.fit)


def class_vectors(texts: Floats, codes: Ints, n_classes: int) -> Floats:
    """Return (K, D) unit means of the (M, D) sentence vectors of each class."""
    sums = np.zeros((n_classes, texts.shape[1]), np.float32)
    np.add.at(sums, codes, texts)
    return unit(sums)


def compare_prompts(
    prompts: Sequence[Prompt], cosines: Floats, labels: Ints, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Return how well each sentence alone tells its class from the rest, the best of each class first.

    Args:
        prompts: M sentences.
        cosines: (N, M) of labelled rows.
        labels: (N,) codes.
        classes: class names.
    """
    rows = []
    for place, prompt in enumerate(prompts):
        value, low, high = auroc(labels == prompt.code, cosines[:, place])
        rows.append({"class": classes[prompt.code], "prompt": prompt.text, "auroc": value, "low": low, "high": high})
    order = {name: place for place, name in enumerate(classes)}
    return sorted(rows, key=lambda row: (order[row["class"]], -np.nan_to_num(row["auroc"])))


def compare_templates(prompts: Sequence[Prompt], texts: Floats, features: Floats, labels: Ints) -> list[dict[str, Any]]:
    """Return the accuracy of each template alone on the labelled rows, with exact intervals, the best first."""
    codes, k = np.array([prompt.code for prompt in prompts]), max(prompt.code for prompt in prompts) + 1
    rows = []
    for template in dict.fromkeys(prompt.template for prompt in prompts):
        mine = np.array([prompt.template == template for prompt in prompts])
        if not template or len(np.unique(codes[mine])) < k:
            continue
        right = int(((features @ class_vectors(texts[mine], codes[mine], k).T).argmax(axis=1) == labels).sum())
        low, high = clopper_pearson(right, len(labels)) if len(labels) else (0.0, 1.0)
        rows.append({"template": template, "accuracy": right / max(len(labels), 1), "low": low, "high": high})
    return sorted(rows, key=lambda row: -row["accuracy"])


def _weak(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Name sentences that are surely worse than another one of their class."""
    best: dict[str, float] = {}
    for row in rows:
        best[row["class"]] = max(best.get(row["class"], 0.0), row["low"])
    return [
        f'the prompt "{row["prompt"]}" tells {row["class"]} worse than another one does: leave it out '
        f"(AUROC {row['auroc']:.2f})"
        for row in rows if row["high"] < best[row["class"]]
    ]  # fmt: skip
