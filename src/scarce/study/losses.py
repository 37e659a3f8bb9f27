"""Which means against imbalance helps a network: losses, weights, sampling, and what can be done after training."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from scarce import train
from scarce.between import Between, nothing_between
from scarce.dataset import Dataset, Floats, FoldView, Ints
from scarce.errors import ConfigError, DataError, unknown_name
from scarce.folds import development, groups_of
from scarce.lineage import digest
from scarce.loss_spec import LossSpec
from scarce.metric.interval import group_codes
from scarce.probe import LinearProbe, softmax
from scarce.rebalance.oversample import Oversample
from scarce.rebalance.smote import Smote
from scarce.rebalance.threshold import moved_prior
from scarce.rebalance.undersample import Undersample
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._data import ties
from scarce.study._forest import forest
from scarce.study._journal import Journal
from scarce.study._page import results_page
from scarce.study._seeds import gain_over_seeds, judge, over_seeds, points, share_over_seeds
from scarce.study._tail import parted
from scarce.train.finetune import Finetune

QUESTION: Final = "Which means against imbalance helps a network most?"
PLAIN: Final = "cross_entropy"
AFTER: Final = ("moved_prior", "smote_features")
"""What is done to the plainly trained network: they cost no training of their own."""
METHODS: Final[Mapping[str, Mapping[str, Any]]] = {
    PLAIN: {"loss": "cross_entropy"},
    "label_smoothing": {"loss": "label_smoothing"},
    "class_weight": {"loss": "class_weight"},
    "class_balanced": {"loss": "class_balanced"},
    "focal": {"loss": "focal"},
    "class_balanced_focal": {"loss": "class_balanced_focal"},
    "deferred": {"loss": "deferred"},
    "mixup_deferred": {"loss": "deferred", "mixup": 0.2},
    "ldam": {"loss": "ldam"},
    "ldam_drw": {"loss": "ldam_drw"},
    "balanced_softmax": {"loss": "balanced_softmax", "sampling": 0.0},
    "balanced_softmax_sampled": {"loss": "balanced_softmax", "sampling": 0.5},
    "generalized_cross_entropy": {"loss": "generalized_cross_entropy"},
    "symmetric_cross_entropy": {"loss": "symmetric_cross_entropy"},
    "oversample": {"loss": "cross_entropy", "rows": Oversample(ratio=1.0, cap=None)},
    "undersample": {"loss": "cross_entropy", "rows": Undersample(ratio=3.0)},
}
"""Method to settings of ``finetune``, and how rows are drawn."""
FEW: Final = 0.3
"""Share of the classes, the smallest, whose recall is told apart."""


@final
@dataclass(frozen=True, kw_only=True)
class Losses(AbstractStudy):
    """Train the same network on long tails with every means against imbalance, and judge on a balanced part.

    Use before choosing a loss for a project of pictures with hundreds of samples in every class, or on Fashion-MNIST.
    Samples of every class are drawn in falling numbers (``most`` down to ``most / ratio``, evenly on a log scale; the
    project's largest class stays the largest, its rarest the rarest); ``judged`` others of each class judge, none of
    them of one group with, or a copy of, what is trained on. All methods of a seed share samples, network, first
    weights and epochs; nothing is stopped early or chosen on the judged part. The test split is not touched.
    Needs: pictures and labels of people. Writes nothing to the data.
    Source: the long tails of Cao et al. 2019; published with CIFAR-10 at 100:1: plain 70.4, class weights 68.3,
    balanced softmax 77.5, mixup with deferred re-weighting 82.1.

    Args:
        methods: some of those below; empty = all. ``cross_entropy`` is always added: gains are against it.
        ratios: of the largest class to the smallest.
        most: samples of the largest class.
        judged: samples of each class that judge.
        epochs: of every training; all see as many samples as the plain one, so that drawing more does not train longer.
        seeds: repeats, each with its own samples and weights.
        network: of ``finetune``.
        batch: samples a step.
    """

    methods: tuple[str, ...] = ()
    ratios: tuple[float, ...] = (10.0, 50.0, 100.0, 200.0)
    most: int = 1000
    judged: int = 200
    epochs: int = 12
    seeds: int = 5
    network: str = "auto"
    batch: int = 64

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return scores, gains and intervals; see the base.

        Raises:
            ConfigError: numbers that leave nothing to train or judge.
            DataError: no pictures, or too few labelled samples of a class.
            UnknownNameError: there is no such method.
        """
        methods = self._methods()
        rows, labels = self._labelled(ds)
        order = falling(np.bincount(labels))
        setting = {key: value for key, value in self.params().items() if key not in {"seeds", "ratios", "methods"}}
        told = digest("losses", *ds.ids[rows].tolist(), *map(str, labels), *map(str, order), *ties(ds))
        kept = Journal(journal, {**setting, "seed": seed, "content": told})
        trained = [name for name in methods if name not in AFTER]
        keys = [f"{repeat}/{ratio:g}/{name}" for repeat in range(self.seeds) for ratio in self.ratios
                for name in trained]  # fmt: skip
        draws = self._draws(labels, group_codes(groups_of(ds)[rows]), ds.schema.classes, seed)
        for key in within(keys, list(kept.done), minutes=minutes, what="trainings"):
            drawn, (repeat, _, name) = draws[key.rpartition("/")[0]], key.split("/")
            trial = _Trial(ds, rows[drawn[0]], rows[drawn[1]], seed + int(repeat))
            kept.add(key, self._measured(trial, name))
        body = self._found(methods, kept.done, [ds.schema.classes[code] for code in order], order, seed)
        return Finding(QUESTION, body, _page(body))

    def draw(self, labels: Ints, ratio: float, seed: int, groups: Ints) -> tuple[Ints, Ints]:
        """Return places in (R,) labels that are trained on, a long tail, and that judge, ``judged`` of each class.

        No code of (R,) groups is on both sides.
        """
        return parted(labels, groups, self._sizes(labels, ratio), self.judged, seed)

    def _sizes(self, labels: Ints, ratio: float) -> Ints:
        return tail_of(self.most, ratio, np.bincount(labels))

    def _draws(self, labels: Ints, groups: Ints, classes: Sequence[str], seed: int) -> dict[str, tuple[Ints, Ints]]:
        """Return the draw of every repeat and ratio, by ``repeat/ratio``: what cannot be drawn is told before all."""
        draws = {}
        for repeat in range(self.seeds):
            for ratio in (f"{one:g}" for one in self.ratios):
                found = self.draw(labels, float(ratio), seed + 1000 * repeat, groups)
                fitted, judges = (np.bincount(labels[side], minlength=len(classes)) for side in found)
                short = [
                    f"of {name} {size} are left to train on beside {judging} that judge, {need} are wanted"
                    for name, size, judging, need in
                    zip(classes, fitted, judges, self._sizes(labels, float(ratio)), strict=True) if size < need
                ]  # fmt: skip
                if short:
                    raise DataError("study", "too few labelled samples are left when no group is cut",
                                    "; ".join(short[:3]), "lower --most or --judged, or take --fashion")  # fmt: skip
                draws[f"{repeat}/{ratio}"] = found
        return draws

    def _methods(self) -> list[str]:
        if min(self.most, self.judged, self.epochs, self.seeds, self.batch) < 1 or min(self.ratios, default=0) < 1:
            what = f"most = {self.most}, judged = {self.judged}, epochs = {self.epochs}, seeds = {self.seeds}"
            raise ConfigError("study", f"{what}, ratios = {list(self.ratios)}", do="take 1 or more of each")
        known = [*METHODS, *AFTER]
        for name in self.methods:
            if name not in known:
                raise unknown_name("study", "means against imbalance", name, known)
        return [name for name in known if name == PLAIN or not self.methods or name in self.methods]

    def _labelled(self, ds: Dataset) -> tuple[Ints, Ints]:
        if ds.schema.modality != "image":
            raise DataError("study", f"this is {ds.schema.modality}", "losses are studied on pictures")
        rows = np.flatnonzero(development(ds))
        labels = ds["label"][rows].astype(np.int64)
        names = ds.schema.classes
        sizes = np.bincount(labels, minlength=len(names))
        wanted = tail_of(self.most, min(self.ratios), sizes) + self.judged
        short = [
            f"{name} has {size}, {need} are wanted"
            for name, size, need in zip(names, sizes, wanted, strict=True) if size < need
        ]  # fmt: skip
        if short or len(names) < 2:
            raise DataError("study", "there are too few labelled samples outside test", "; ".join(short[:3]),
                            "lower --most or --judged, or take --fashion")  # fmt: skip
        return rows, labels

    def _measured(self, trial: _Trial, name: str) -> dict[str, Any]:
        started, seed = time.perf_counter(), trial.seed
        view = trial.view()
        truth = view.eval["label"].astype(np.int64)
        settings = dict(METHODS[name])
        method = settings.pop("rows", None)
        given, epochs = None, self.epochs
        if method is not None:
            own = view.train["label"]
            found = method.resample(np.arange(len(own), dtype=np.float64)[:, None], own, seed=seed)
            places = found.arrays()[0][:, 0].astype(np.int64)
            given = _Given(places, np.ones(len(places)))
            epochs = max(1, round(self.epochs * len(own) / len(places)))
        trainer = Finetune(network=self.network, batch=self.batch, epochs=epochs, validation=0.0,
                           **{"sampling": 0.0, **settings})  # fmt: skip
        model = train.fit(view, trainer, seed=seed, given=given)
        logits = model.logits(view.eval)
        out = {name: scored(truth, logits.argmax(1)), "seconds": round(time.perf_counter() - started, 1)}
        if name == PLAIN:
            counts = np.bincount(view.train["label"])
            out["moved_prior"] = scored(truth, moved_prior(softmax(logits), counts).argmax(1))
            answers, alone = self._smoted(model, view, seed)
            out["smote_features"] = scored(truth, answers)
            if alone:
                out["no_smote"] = [view.train.schema.classes[code] for code in alone]
        return out

    def _smoted(self, model: Any, view: FoldView, seed: int) -> tuple[Ints, list[int]]:
        """Return answers of a linear head that is fitted anew on the network's features, after SMOTE among them.

        Where classes have a single sample there is nothing to interpolate: the answers are then the network's own, and
        the codes of those classes come beside them.
        """
        fitted, judged = (_features(model, part) for part in (view.train, view.eval))
        codes = view.train["label"].astype(np.int64)
        few = [code for code, size in enumerate(np.bincount(codes)) if 0 < size < 2]
        if few:
            return np.asarray(model.logits(view.eval).argmax(1)), few
        X, y = Smote().fit_resample(fitted, codes, seed=seed)
        return np.asarray(LinearProbe().fit(X, y, len(model.classes)).logits(judged).argmax(1)), []

    def _found(
        self, methods: list[str], done: Mapping[str, Any], classes: Sequence[str], order: Ints, seed: int
    ) -> dict[str, Any]:  # fmt: skip
        """Return what is done, classes and recalls in the given order of the codes."""
        trained = [name for name in methods if name not in AFTER]
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_wanted": self.seeds,
            "classes": list(classes), "judged": self.judged * len(classes), "seeds_done": 0, "seconds": 0.0,
            "ratios": {},
        }  # fmt: skip
        body["seconds"] = round(sum(result["seconds"] for result in done.values()), 1)
        per_ratio = {}
        for ratio in self.ratios:
            whole = [r for r in range(self.seeds) if all(f"{r}/{ratio:g}/{name}" in done for name in trained)]
            per_ratio[ratio] = whole
            if not whole:
                continue
            sizes = tail(self.most, ratio, len(classes))
            recalls = {
                name: np.array([done[f"{r}/{ratio:g}/{PLAIN if name in AFTER else name}"][name] for r in whole])[
                    :, order
                ]
                for name in methods
            }
            few = max(1, round(FEW * len(classes)))
            plain = recalls[PLAIN].mean(1)
            body["ratios"][f"{ratio:g}"] = {
                "counts": sizes.tolist(), "seeds": len(whole), "few": few,
                "methods": {
                    name: {
                        **over_seeds(values.mean(1)), "gain": gain_over_seeds(values.mean(1) - plain),
                        "few": share_over_seeds(values[:, -few:].mean(1)),
                        "many": share_over_seeds(values[:, :few].mean(1)),
                        "recall": values.mean(0).round(4).tolist(),
                    }
                    for name, values in recalls.items()
                },
            }  # fmt: skip
            alone = {name for r in whole for name in done[f"{r}/{ratio:g}/{PLAIN}"].get("no_smote", ())}
            if "smote_features" in methods and alone:
                body["ratios"][f"{ratio:g}"]["no_smote"] = sorted(alone)
        judge([row["gain"] for found in body["ratios"].values() for name, row in found["methods"].items()
               if name != PLAIN])  # fmt: skip
        body["seeds_done"] = min((len(whole) for whole in per_ratio.values()), default=0)
        return body


@dataclass(frozen=True, eq=False)
class _Trial:
    """One draw of samples: rows that are trained on and rows that judge."""

    ds: Dataset
    fitted: Ints
    judged: Ints
    seed: int

    def view(self) -> FoldView:
        """Return one against the other, over these samples alone."""
        small = self.ds.take(np.concatenate([self.fitted, self.judged]))
        return small.fold(self.ds.ids[self.fitted], self.ds.ids[self.judged])


@dataclass(frozen=True, eq=False)
class _Given:
    """Rows to train on with plain cross-entropy."""

    rows: Ints
    weights: Floats
    loss: LossSpec = LossSpec()  # noqa: RUF009  frozen
    between: Between = nothing_between()  # noqa: RUF009  frozen


def falling(counts: Ints) -> Ints:
    """Return (K,) codes from the class with most samples to the one with fewest; equal ones in their own order."""
    return np.argsort(-counts, kind="stable")


def tail_of(most: int, ratio: float, counts: Ints) -> Ints:
    """Return (K,) the sizes of :func:`tail`, the largest for the class with most of (K,) counts."""
    return tail(most, ratio, len(counts))[np.argsort(falling(counts))]


def tail(most: int, ratio: float, n_classes: int) -> Ints:
    """Return (K,) falling sizes from ``most`` to ``most / ratio``, evenly on a log scale, at least 1."""
    share = np.arange(n_classes) / max(n_classes - 1, 1)
    return np.maximum(np.round(most * ratio**-share), 1).astype(np.int64)


def scored(truth: Ints, answers: Ints) -> list[float]:
    """Return (K,) recalls."""
    return [round(float((answers[truth == code] == code).mean()), 5) for code in range(int(truth.max()) + 1)]


def _features(model: Any, ds: Dataset) -> Floats:
    """Return (N, D) what the network hands to its head."""
    caught: list[Any] = []
    hook = model.net.get_classifier().register_forward_pre_hook(lambda _head, given: caught.append(given[0].float()))
    try:
        model.logits(ds)
    finally:
        hook.remove()
    times = 2 if model.card["mirror"] else 1
    parts = [caught[start : start + times] for start in range(0, len(caught), times)]
    return np.concatenate([np.mean([part.cpu().numpy() for part in both], axis=0) for both in parts])


def conclusion(body: Mapping[str, Any]) -> str:
    """Return one sentence a ratio: the best, and what is surely better or worse than plain training.

    Sure is what stays so after correction for all comparisons of the study (Holm).
    """
    said = []
    for ratio, found in body["ratios"].items():
        rows = found["methods"]
        best = max(rows, key=lambda name: rows[name]["mean"])
        sure = {word: [name for name, row in rows.items() if name != PLAIN and row["gain"]["verdict"] == verdict]
                for word, verdict in (("better", "helps"), ("worse", "hurts"))}  # fmt: skip
        parts = [f"{len(names)} surely {word} than plain" for word, names in sure.items() if names]
        lead = f"{best} has the highest mean ({100 * rows[best]['mean']:.1f} %, plain {100 * rows[PLAIN]['mean']:.1f} %"
        lead += ")" if best == PLAIN else f"; {points(rows[best]['gain'])} points)"
        said.append(f"{ratio}:1: {lead}; {', '.join(parts) or 'nothing is surely better or worse than plain'}")
        if found.get("no_smote"):
            said.append(f"{ratio}:1: smote_features is plain training, in part at least, since "
                        f"{', '.join(found['no_smote'])} had one sample")  # fmt: skip
    return ". ".join(said) + "." if said else "Nothing was measured yet."


def table_of(body: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table: score, and gain over plain training, at every ratio."""
    head = ["method", *(cell for ratio in body["ratios"] for cell in (f"{ratio}:1", "gain", "smallest classes"))]
    names = list(next(iter(body["ratios"].values()))["methods"]) if body["ratios"] else []
    rows = []
    for name in names:
        cells = [name]
        for found in body["ratios"].values():
            row = found["methods"][name]
            cells += [f"{row['mean']:.1%}", "" if name == PLAIN else points(row["gain"]), f"{row['few']['mean']:.1%}"]
        rows.append(cells)
    return head, rows


def _page(body: Mapping[str, Any]) -> str:
    setting = body["setting"]
    said = [
        (
            f"{body['seeds_done']} of {body['seeds_wanted']} seeds done at every ratio; balanced accuracy on "
            f"{body['judged']:,} held-out samples; {setting['epochs']} epochs, at most {setting['most']:,} samples of "
            f"a class; {body['seconds'] / 60:.0f} minutes of training in all."
        ),
        conclusion(body),
        (
            "Gains are against plain cross-entropy on the same samples, in points, with 95 % intervals over seeds, one "
            "by one; surely better or worse is what stays so after correction for all comparisons (Holm)."
        ),
    ]  # fmt: skip
    head, rows = table_of(body)
    panels = {f"{ratio}:1": found["methods"] for ratio, found in body["ratios"].items()}
    figure = forest(panels, "balanced accuracy of each method") if panels else None
    return results_page(QUESTION, said, head, rows, figure=figure)
