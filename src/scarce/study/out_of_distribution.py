"""How well an ordinary network knows what it was never taught: every detector, every temperature, what it costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, final

import numpy as np

from scarce.dataset import Array, Dataset, FoldView
from scarce.errors import ConfigError
from scarce.evaluate import calibrator
from scarce.evaluate.guard import MOST, Known, fitted, known_of, unlabelled
from scarce.evaluate.out_of_distribution import AbstractDetector
from scarce.evaluate.out_of_distribution.detection import KEPT, TEMPERATURES, detection, threshold_keeping
from scarce.evaluate.out_of_distribution.energy import Energy
from scarce.evaluate.out_of_distribution.knn import evenly
from scarce.evaluate.out_of_distribution.softmax_score import SoftmaxScore
from scarce.extras import need
from scarce.lineage import digest
from scarce.metric.calibration import expected_calibration_error
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._data import ties
from scarce.study._fashion import CLASSES
from scarce.study._foreign_sets import foreign_set, name_of
from scarce.study._forest import forest
from scarce.study._journal import Journal
from scarce.study._page import results_page, table_with
from scarce.study._pictures import picture_fold
from scarce.study._seeds import over_seeds, points, share_over_seeds, shares

if TYPE_CHECKING:
    from scarce.evaluate.guard import Guarded

QUESTION: Final = "How well does the model know what it was never taught, and what does that cost?"
PUBLISHED: Final = {"what": "Fashion-MNIST against MNIST, DUQ", "auroc": 0.955}
"""van Amersfoort et al. 2020."""
AT: Final = "0.99"
"""The share of known samples that the table keeps."""


@final
@dataclass(frozen=True, kw_only=True)
class OutOfDistribution(AbstractStudy):
    """Train one ordinary network; compare every detector of foreign samples, its threshold, and calibrations.

    Use before trusting the verdict ``unknown`` on a project of pictures, or on Fashion-MNIST. Detectors learn from
    training samples; thresholds and temperatures come from held-back ones. Every unknown set chooses the detector once,
    with held-back known samples, and what it chose is then judged on all other sets and on the test split (where there
    is none: on a quarter that nothing else saw), which nothing was chosen on.
    Needs: pictures and labels of people. Writes nothing to the data.
    Source: Yang et al. 2024 (OpenOOD 1.5: choose on other foreign data than that which judges).

    Args:
        unknown: two or more of ``glyphs``, ``digits`` and folders of pictures or of IDX files.
        most: training samples at most, evenly over the classes.
        judged: held-back, test and foreign samples at most, each.
        epochs: of every training.
        seeds: repeats, each with its own held-back part, samples and weights.
        network: of ``finetune``.
        batch: samples a step.
    """

    unknown: tuple[str, ...] = ("glyphs", "digits")
    most: int = 12000
    judged: int = 2000
    epochs: int = 10
    seeds: int = 3
    network: str = "auto"
    batch: int = 64

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return AUROC, FPR95, thresholds and calibration; see the base.

        Raises:
            ConfigError: settings out of range, or fewer than two unknown sets.
            DataError: no pictures, or too few labels.
            ReadError: an unknown set cannot be read.
        """
        sets = [name_of(source) for source in self.unknown]
        if min(self.most, self.judged, self.epochs, self.seeds, self.batch) < 1 or len(set(sets)) < max(2, len(sets)):
            what = f"unknown = {sets}, most = {self.most}, judged = {self.judged}, epochs = {self.epochs}"
            raise ConfigError("study", f"{what}, seeds = {self.seeds}",
                              do="name two unknown sets of different names, and 1 or more of the rest")  # fmt: skip
        need("torch", extra="train")
        first = self._view(ds, seed)
        setting = {name: value for name, value in self.params().items() if name != "seeds"}
        told = [*ds.ids.tolist(), *map(str, ds["label"]), *map(str, ds["split"]), *ties(ds)]
        kept = Journal(journal, {**setting, "seed": seed, "content": digest("out_of_distribution", *told)})
        with tempfile.TemporaryDirectory(prefix="scarce-unknown-") as work:
            foreign = {
                name: foreign_set(source, Path(work), most=self.judged, seed=seed)
                for name, source in zip(sets, self.unknown, strict=True)
            }
            for key in within(list(map(str, range(self.seeds))), list(kept.done), minutes=minutes, what="seeds"):
                kept.add(key, self._measured(self._view(ds, seed + int(key)), foreign, seed + int(key)))
        body = self._found(sets, kept.done, seed)
        body |= {
            "classes": list(ds.schema.classes), "train": int((first.train["split"] == "train").sum()),
            "held_back": int((first.train["split"] == "val").sum()), "judged": len(first.eval_ids),
            "judged_on": "test" if (ds["split"] == "test").any() else "a quarter set apart",
            "foreign": {name: len(part) for name, part in foreign.items()},
            "published": PUBLISHED if tuple(ds.schema.classes) == CLASSES else None,
        }  # fmt: skip
        return Finding(QUESTION, body, _page(body))

    def _view(self, ds: Dataset, seed: int) -> FoldView:
        return picture_fold(ds, most=self.most, judged=self.judged, seed=seed, apart=True)

    def _measured(self, view: FoldView, foreign: Mapping[str, Dataset], seed: int) -> dict[str, Any]:
        from scarce.train.finetune import Finetune

        started, train = time.perf_counter(), view.train
        trainer = Finetune(network=self.network, epochs=self.epochs, batch=self.batch, patience=self.epochs)
        model = cast("Guarded", trainer.fit(view, seed=seed))
        rows = np.flatnonzero(train["split"] == "train")
        learned = known_of(model, train.take(rows[evenly(train["label"][rows], MOST)]))
        tried, judged = known_of(model, train.take(train["split"] == "val")), known_of(model, view.eval)
        others = {name: unlabelled(model, part) for name, part in foreign.items()}
        found = {
            name: _judged(one, tried, judged, others) for name, one in {**fitted(learned), **_heated(learned)}.items()
        }
        return {
            "accuracy": float((judged.logits.argmax(1) == judged.labels).mean()), "detectors": found,
            "calibration": _calibrated(tried, judged), "seconds": round(time.perf_counter() - started, 1),
        }  # fmt: skip

    def _found(self, sets: Sequence[str], done: Mapping[str, Any], seed: int) -> dict[str, Any]:
        rows = [done[str(repeat)] for repeat in range(self.seeds) if str(repeat) in done]
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_wanted": self.seeds,
            "seeds_done": len(rows), "seconds": round(sum(row["seconds"] for row in rows), 1), "accuracy": None,
            "detectors": {}, "choices": {}, "calibration": {},
        }  # fmt: skip
        if not rows:
            return body
        body["accuracy"] = _mean([row["accuracy"] for row in rows])
        for name in rows[0]["detectors"]:
            own = [row["detectors"][name] for row in rows]
            body["detectors"][name] = _over(own)
        for chooser in sets:
            body["choices"][chooser] = _choice(rows, chooser, [name for name in sets if name != chooser])
        kinds = rows[0]["calibration"]["judged"]
        body["calibration"] = {
            "chosen": [row["calibration"]["chosen"] for row in rows],
            "ece": _mean([row["calibration"]["judged"][row["calibration"]["chosen"]] for row in rows]),
            "kinds": {kind: _mean([row["calibration"]["judged"][kind] for row in rows]) for kind in kinds},
        }
        return body


def _heated(known: Known) -> dict[str, AbstractDetector]:
    """Return the detectors that have a temperature at every one but 1."""
    return {
        f"{kind.plugin_name()}, T = {heat:g}": kind(temperature=heat).fit(None, known.logits, known.labels)
        for kind in (SoftmaxScore, Energy) for heat in TEMPERATURES if heat != 1.0
    }  # fmt: skip


def _judged(one: AbstractDetector, tried: Known, judged: Known, others: Mapping[str, Known]) -> dict[str, Any]:
    """Return what a detector does to known samples and to each unknown set, at thresholds of the held-back ones."""

    def score(known: Known) -> Array:
        return one.score(known.features if one.uses_features else None, known.logits)

    held, own = score(tried), score(judged)
    foreign = {name: score(part) for name, part in others.items()}
    right = judged.logits.argmax(1) == judged.labels
    cuts = {f"{share:g}": threshold_keeping(held, min(share, len(held) / (len(held) + 1))) for share in KEPT}
    sets = {}
    for name, values in foreign.items():
        choosing, telling = detection(held, values), detection(own, values)
        sets[name] = {
            "chosen_by": choosing.auroc, "auroc": telling.auroc, "fpr95": telling.fpr95,
            "found": {share: float((values > cut).mean()) for share, cut in cuts.items()},
        }  # fmt: skip
    return {
        "sets": sets, "passed": {share: float((own <= cut).mean()) for share, cut in cuts.items()},
        "cost": {share: float(right.mean() - (right & (own <= cut)).mean()) for share, cut in cuts.items()},
    }  # fmt: skip


def _calibrated(tried: Known, judged: Known) -> dict[str, Any]:
    """Return the kind with the smallest cross-fitted error on held-back samples, and the error of all kinds."""
    kinds = calibrator.judge_kinds(tried.logits, tried.labels)
    errors = {
        kind: expected_calibration_error(
            judged.labels, calibrator.fit(tried.logits, tried.labels, kind)(judged.logits)
        )
        for kind in calibrator.KINDS
    }  # fmt: skip
    return {"chosen": min(kinds, key=lambda kind: float(kinds[kind]["ece"])), "judged": errors}


def _mean(values: Sequence[float]) -> dict[str, Any]:
    return share_over_seeds(np.array(values, np.float64))


def _over(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a detector's figures over seeds."""
    return {
        "sets": {
            name: {
                **{figure: _mean([row["sets"][name][figure] for row in rows]) for figure in ("auroc", "fpr95")},
                "found": {key: _mean([row["sets"][name]["found"][key] for row in rows]) for key in found["found"]},
            }
            for name, found in rows[0]["sets"].items()
        },
        "passed": {key: _mean([row["passed"][key] for row in rows]) for key in rows[0]["passed"]},
        "cost": {key: over_seeds(np.array([row["cost"][key] for row in rows])) for key in rows[0]["cost"]},
    }


def _choice(rows: Sequence[Mapping[str, Any]], chooser: str, others: Sequence[str]) -> dict[str, Any]:
    """Return what one unknown set chooses with held-back samples, seed by seed, and how that does on the others."""
    names = [
        max(row["detectors"], key=lambda name: float(row["detectors"][name]["sets"][chooser]["chosen_by"]))
        for row in rows
    ]  # fmt: skip
    taken = [row["detectors"][name] for row, name in zip(rows, names, strict=True)]
    return {
        "detectors": names,
        **_over([{**one, "sets": {name: one["sets"][name] for name in others}} for one in taken]),
    }


def conclusion(body: Mapping[str, Any]) -> str:
    """Return what each choice reaches on sets that it was not made on, and the calibration."""
    if not body["detectors"]:
        return "Nothing was measured yet."
    said = []
    for chooser, found in body["choices"].items():
        reached = ", ".join(f"{name} {shares(one['auroc'])}" for name, one in found["sets"].items())
        lost = points(found["cost"][AT])
        said.append(
            f"Chosen on {chooser} ({', '.join(dict.fromkeys(found['detectors']))}), AUROC on other sets: {reached}; "
            f"keeping {float(AT):.0%} of the known costs {lost} points of accuracy"
        )
    error = body["calibration"]
    said.append(f"After calibration ({', '.join(dict.fromkeys(error['chosen']))}) the ECE is {shares(error['ece'])}, "
                f"before {shares(error['kinds']['none'])}")  # fmt: skip
    if body["published"]:
        said.append(f"Published: {body['published']['auroc']:.1%} ({body['published']['what']})")
    return ". ".join(said) + "."


def table_of(body: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table: AUROC and FPR95 of every detector on every unknown set."""
    names = [name for name in body["detectors"] if "T =" not in name]
    sets = list(body["detectors"][names[0]]["sets"]) if names else []
    head = ["detector", *(cell for name in sets for cell in (f"{name}: AUROC", "FPR95")), f"accuracy lost at {AT}"]
    rows = []
    for name in names:
        one = body["detectors"][name]
        cells = [
            cell for own in sets for cell in (shares(one["sets"][own]["auroc"]), shares(one["sets"][own]["fpr95"]))
        ]
        rows.append([name, *cells, points(one["cost"][AT])])
    return head, rows


def _sweep(body: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return what every temperature and threshold finds of each unknown set, and what it costs."""
    heated = [name for name in body["detectors"] if name.startswith(("softmax_score", "energy"))]
    sets = list(body["detectors"][heated[0]]["sets"])
    head = ["score and temperature", "known that pass", "accuracy lost, points", *(f"{name} found" for name in sets)]
    rows = []
    for name in sorted(heated):
        one = body["detectors"][name]
        title = name if "T =" in name else f"{name}, T = 1"
        for share in one["cost"]:
            found = [shares(one["sets"][own]["found"][share]) for own in sets]
            rows.append([title, f"{shares(one['passed'][share])}, wanted {float(share):.0%}",
                         points(one["cost"][share]), *found])  # fmt: skip
    return head, rows


def _page(body: Mapping[str, Any]) -> str:
    said = [
        (
            f"{body['seeds_done']} of {body['seeds_wanted']} seeds; {body['train']:,} training pictures, "
            f"{body['held_back']:,} held back to choose on, {body['judged']:,} known ones to judge on "
            f"({body['judged_on']}), unknown: {', '.join(f'{n:,} {name}' for name, n in body['foreign'].items())}; "
            f"{body['seconds'] / 60:.0f} minutes in all."
        ),
        conclusion(body),
        (
            "Detectors are tried with their default settings and at the temperatures of the first table. Thresholds "
            "keep a share of the held-back known samples. A detector is chosen on one unknown set and told on the "
            "others, which took no part in the choice. AUROC is the chance that a foreign sample scores above a known "
            "one, FPR95 the share of foreign samples that pass where 95 % of the known ones do. Brackets are 95 % "
            "intervals over seeds."
        ),
    ]  # fmt: skip
    if not body["detectors"]:
        return results_page(QUESTION, said, [], [])
    head, rows = table_of(body)
    sets = list(body["foreign"])
    plain = {name: one for name, one in body["detectors"].items() if "T =" not in name}
    panels = {name: {own: one["sets"][name]["auroc"] for own, one in plain.items()} for name in sets}
    figures = [forest(panels, "AUROC of each detector"), table_with(*_sweep(body))]
    return results_page(QUESTION, said, head, rows, figure=figures)
