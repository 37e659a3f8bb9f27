"""Which kind of network learns small pictures best and soonest: ConvNeXt against ResNet, with and without averaging."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np

from scarce.dataset import Dataset, Floats, FoldView, Ints
from scarce.errors import ConfigError
from scarce.extras import need
from scarce.lineage import digest
from scarce.metric.confusion import balanced_accuracy
from scarce.probe import softmax
from scarce.report.words import duration
from scarce.study._base import AbstractStudy, Finding, within
from scarce.study._curve import Curves, needed
from scarce.study._data import ties
from scarce.study._journal import Journal
from scarce.study._lines import key, lines
from scarce.study._page import results_page
from scarce.study._pictures import picture_fold
from scarce.study._seeds import over_seeds, points, share_over_seeds, shares

QUESTION: Final = "ConvNeXt or ResNet: which network learns these pictures best, and which soonest?"
WEIGHTS: Final[Mapping[str, str]] = {"last": "last weights", "average": "averaged weights (EMA)"}
FAMILIES: Final = ("convnext", "resnet")


@final
@dataclass(frozen=True, kw_only=True)
class Architectures(AbstractStudy):
    """Train ConvNeXts and ResNets on the same pictures; compare their curves, their time, and averaged weights.

    Use before choosing a network for a project of pictures, or on Fashion-MNIST. A grouped, stratified quarter outside
    test judges after every epoch, another one with every seed. The last weights and their moving average are those of
    one training, so that they differ in nothing else. Every training has its own one-cycle schedule to the last epoch
    and is not stopped early; time to a score is that of this schedule, not of the shortest one that reaches it. After
    the last seed the scores on the test split are told, where the networks of the first seed looked once.
    Needs: pictures and labels of people. Writes nothing to the data.
    Source: Liu et al. 2022 (ConvNeXt); He et al. 2016 (ResNet); Polyak and Juditsky 1992 (averaging).

    Args:
        networks: ``small_resnet``, ``small_convnext`` or names of timm; below 64 pixels they get a stem of stride 2.
        most: training samples at most, evenly over the classes.
        judged: validation samples at most, and as many of the test split.
        epochs: of every training.
        seeds: repeats, each with its own held-out part, samples and first weights.
        ema: decay of the moving average per step, in (0, 1).
        batch: samples a step.
        pretrained: ``no``, or ``auto``: weights if they can be had.
        target: balanced accuracy whose price is asked; 0 = the highest that all networks reach.
    """

    networks: tuple[str, ...] = ("small_resnet", "resnet10t", "small_convnext", "convnext_atto")
    most: int = 6000
    judged: int = 2000
    epochs: int = 8
    seeds: int = 3
    ema: float = 0.995
    batch: int = 64
    pretrained: Literal["no", "auto"] = "no"
    target: float = 0.0

    def run(self, ds: Dataset, *, journal: Path | None, minutes: float, seed: int) -> Finding:
        """Return curves, scores and times; see the base.

        Raises:
            ConfigError: settings out of range.
            DataError: no pictures, or too few labels.
            UnknownNameError: there is no such network; the message names the closest ones.
        """
        self._refuse()
        first = self._view(ds, seed)
        setting = {name: value for name, value in self.params().items() if name not in {"seeds", "networks", "target"}}
        told = digest("architectures", *ds.ids.tolist(), *map(str, ds["label"]), *map(str, ds["split"]), *ties(ds))
        kept = Journal(journal, {**setting, "seed": seed, "content": told})
        keys = [f"{repeat}/{name}" for repeat in range(self.seeds) for name in self.networks]
        for part in within(keys, list(kept.done), minutes=minutes, what="trainings"):
            repeat, _, name = part.partition("/")
            view = self._view(ds, seed + int(repeat))
            kept.add(part, self._trained(view, name, seed + int(repeat), look=repeat == "0"))
        body = self._found(kept.done, seed)
        body |= {
            "classes": list(ds.schema.classes), "train": int((first.train["split"] == "train").sum()),
            "judged": int((first.train["split"] == "val").sum()), "tested": len(first.eval_ids),
        }  # fmt: skip
        return Finding(QUESTION, body, _page(body))

    def _refuse(self) -> None:
        numbers = (self.most, self.judged, self.epochs, self.seeds, self.batch, len(self.networks))
        if min(numbers) < 1 or not 0 < self.ema < 1 or not 0 <= self.target < 1:
            what = f"most, judged, epochs, seeds, batch, networks = {numbers}, ema = {self.ema}, target = {self.target}"
            raise ConfigError("study", what, do="take 1 or more of each, an ema and a target between 0 and 1")
        need("torch", extra="train")
        from scarce.train import _network

        for name in self.networks:
            _network.resolve(name, _network.SMALL)

    def _view(self, ds: Dataset, seed: int) -> FoldView:
        return picture_fold(ds, most=self.most, judged=self.judged, seed=seed)

    def _trained(self, view: FoldView, network: str, seed: int, *, look: bool) -> dict[str, Any]:
        from scarce.train._base import Setup
        from scarce.train.finetune import Finetune, NetworkModel

        trainer = Finetune(network=network, pretrained=self.pretrained, epochs=self.epochs, batch=self.batch,
                           ema=self.ema, patience=self.epochs)  # fmt: skip
        watch, started = _Watch(self.epochs), time.perf_counter()
        model = trainer.fit(view, seed=seed, setup=Setup(watch=watch))
        assert isinstance(model, NetworkModel)
        test = None
        if look and len(view.eval_ids):
            truth = view.eval["label"].astype(np.int64)
            answers = {name: replace(model, net=net).logits(view.eval) for name, net in watch.nets.items()}
            test = {name: scored(truth, logits)["accuracy"] for name, logits in answers.items()}
        return {
            "epochs": watch.rows, "parameters": model.card["parameters"], "weights_from": model.card["weights_from"],
            "test": test, "seconds": round(time.perf_counter() - started, 1),
        }  # fmt: skip

    def _found(self, done: Mapping[str, Any], seed: int) -> dict[str, Any]:
        whole = [r for r in range(self.seeds) if all(f"{r}/{name}" in done for name in self.networks)]
        body: dict[str, Any] = {
            "question": QUESTION, "setting": self.params(), "seed": seed, "seeds_wanted": self.seeds,
            "seeds_done": len(whole), "seconds": round(sum(row["seconds"] for row in done.values()), 1),
            "target": None, "networks": {}, "families": None, "tested_once": False,
        }  # fmt: skip
        if not whole:
            return body
        rows = {name: [done[f"{repeat}/{name}"] for repeat in whole] for name in self.networks}
        curves = {name: {kind: _curve(own, kind) for kind in WEIGHTS} for name, own in rows.items()}
        reached = min(max(curve.mean.max() for curve in both.values()) for both in curves.values())
        body["target"] = self.target or round(float(reached), 4)
        body["tested_once"] = len(whole) == self.seeds and rows[self.networks[0]][0]["test"] is not None
        for name, own in rows.items():
            final = {kind: curve.scores[:, -1] for kind, curve in curves[name].items()}
            body["networks"][name] = {
                "family": family(name), "parameters": own[0]["parameters"], "weights_from": own[0]["weights_from"],
                "seconds": over_seeds(_last(own, "seconds")), "processor_seconds": over_seeds(_last(own, "processor")),
                "train_loss": _bands(np.array([[row["train_loss"] for row in one["epochs"]] for one in own])),
                "average_gain": over_seeds(final["average"] - final["last"]),
                "weights": {
                    kind: {
                        **share_over_seeds(final[kind]), "curve": _bands(curve.scores),
                        "processor_seconds": [round(float(value), 2) for value in curve.labels],
                        "loss": _bands(np.array([[row[kind]["loss"] for row in one["epochs"]] for one in own])),
                        "to_target": _price(curve, body["target"], seed),
                        "test": own[0]["test"][kind] if body["tested_once"] else None,
                    }
                    for kind, curve in curves[name].items()
                },
            }  # fmt: skip
        body["families"] = _families(body, curves)
        return body


@dataclass(eq=False)
class _Watch:
    """Judges the last and the averaged weights on the held-out samples after every epoch."""

    last_epoch: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    nets: dict[str, Any] = field(default_factory=dict)
    processor: float = 0.0
    _begun: float = 0.0

    def __call__(self, course: Any, task: Any) -> None:
        """Take the time, then judge; what judging takes is not counted."""
        from scarce.train._loop import infer

        if course.epoch:
            self.processor += time.process_time() - self._begun
            both = {"last": course.net, "average": course.average}
            device = str(next(course.net.parameters()).device)
            judged = {
                name: scored(task.held_labels, infer(net, task.held, task.batch, device=device))
                for name, net in both.items()
            }
            spent = {"seconds": round(course.seconds, 2), "processor": round(self.processor, 2)}
            self.rows.append({**spent, "train_loss": round(course.history[-1]["loss"], 5), **judged})
            if course.epoch == self.last_epoch:
                self.nets = copy.deepcopy(both)
        self._begun = time.process_time()


def scored(truth: Ints, logits: Floats) -> dict[str, float]:
    """Return loss (mean negative log likelihood), accuracy and balanced accuracy of (N, K) logits."""
    own = np.maximum(softmax(logits)[np.arange(len(truth)), truth], 1e-12)
    answers = logits.argmax(1)
    found = {
        "loss": float(-np.log(own).mean()), "accuracy": float((answers == truth).mean()),
        "balanced_accuracy": balanced_accuracy(truth, answers, logits.shape[1]),
    }  # fmt: skip
    return {name: round(value, 5) for name, value in found.items()}


def family(network: str) -> str:
    """Return the kind of a network by its name: ``convnext``, ``resnet`` or ``other``."""
    return next((kind for kind in FAMILIES if kind in network), "other")


def _curve(rows: list[dict[str, Any]], kind: str) -> Curves:
    """Return (S, T) scores over the mean processor seconds of (T,) epochs."""
    seconds = np.array([[row["processor"] for row in one["epochs"]] for one in rows]).mean(0)
    return Curves(seconds, np.array([[row[kind]["balanced_accuracy"] for row in one["epochs"]] for one in rows]))


def _price(curve: Curves, target: float, seed: int) -> dict[str, Any]:
    """Return the processor seconds to a score, with the interval over draws of seeds; one seed has none."""
    found = needed(curve, target, seed=seed)
    return found if len(curve.scores) > 1 else {"value": found["value"], "low": None, "high": None}


def _last(rows: list[dict[str, Any]], name: str) -> Floats:
    return np.array([one["epochs"][-1][name] for one in rows], np.float64)


def _bands(values: Floats) -> dict[str, list[float]]:
    """Return the mean over seeds of (S, T) values, and what the middle 80 % of the seeds hold."""
    found = {"mean": values.mean(0), "low": np.quantile(values, 0.1, axis=0), "high": np.quantile(values, 0.9, axis=0)}
    return {name: [round(float(value), 5) for value in row] for name, row in found.items()}


def _families(body: Mapping[str, Any], curves: Mapping[str, Mapping[str, Curves]]) -> dict[str, Any] | None:
    """Return the best of both kinds and the gap between them, paired by seed; None where one kind is missing."""
    best = {}
    for kind in FAMILIES:
        both = {
            (name, weights): row["weights"][weights]["mean"]
            for name, row in body["networks"].items() if row["family"] == kind for weights in WEIGHTS
        }  # fmt: skip
        if not both:
            return None
        best[kind] = max(both, key=both.__getitem__)
    final = {kind: curves[name][weights].scores[:, -1] for kind, (name, weights) in best.items()}
    return {
        **{kind: {"network": name, "weights": weights} for kind, (name, weights) in best.items()},
        "gap": over_seeds(final["convnext"] - final["resnet"]),
    }  # fmt: skip


def conclusion(body: Mapping[str, Any]) -> str:
    """Return who is best, who is soonest at the target, and what averaging gains."""
    rows = body["networks"]
    if not rows:
        return "Nothing was measured yet."
    said = []
    if body["families"]:
        best = body["families"]
        said.append(f"The best ConvNeXt ({best['convnext']['network']}) against the best ResNet "
                    f"({best['resnet']['network']}): {points(best['gap'])} points of balanced accuracy")  # fmt: skip
    soon = {
        name: min(value for one in row["weights"].values() if (value := one["to_target"]["value"]) is not None)
        for name, row in rows.items() if any(one["to_target"]["value"] is not None for one in row["weights"].values())
    }  # fmt: skip
    if soon:
        first = min(soon, key=soon.__getitem__)
        took = "1 seed" if body["seeds_done"] == 1 else f"{body['seeds_done']} seeds"
        said.append(f"In the mean of {took} {first} is the first at {100 * body['target']:.1f} %, after "
                    f"{soon[first]:,.1f} processor seconds; the table has the intervals")  # fmt: skip
    gains = ", ".join(f"{name} {points(row['average_gain'])}" for name, row in rows.items())
    return ". ".join([*said, f"Averaged weights gain, in points: {gains}"]) + "."


def table_of(body: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table, one for each network and kind of weights."""
    target = f"processor seconds to {body['target']:.1%}" if body["target"] else "processor seconds"
    head = ["network", "weights", "parameters", "balanced accuracy", target, "seconds in all"]
    head += ["test, one look"] if body["tested_once"] else []
    table = []
    for name, row in body["networks"].items():
        for kind, found in row["weights"].items():
            cells = [name, WEIGHTS[kind], f"{row['parameters']:,}", shares(found), _reached(found["to_target"]),
                     _seconds(row["seconds"]["mean"])]  # fmt: skip
            table.append([*cells, *([f"{found['test']:.1%}"] if body["tested_once"] else [])])
    return head, table


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _reached(found: Mapping[str, Any]) -> str:
    """Return processor seconds with their interval; a bound beyond the last epoch is told as one."""
    if found["value"] is None:
        return "not reached"
    value, low, high = (None if found[key] is None else _seconds(found[key]) for key in ("value", "low", "high"))
    if low is None:
        return str(value)
    return f"{value} ({low} to {high})" if high is not None else f"{value} ({low} or more: not reached in some draws)"


def _page(body: Mapping[str, Any]) -> str:
    said = [
        (
            f"{body['seeds_done']} of {body['seeds_wanted']} seeds; {body['train']:,} training pictures, "
            f"{body['setting']['epochs']} epochs, judged on {body['judged']:,} held-out ones; "
            f"{duration(body['seconds'])} in all."
        ),
        conclusion(body),
        "Lines are means over seeds, bands hold the middle 80 % of the seeds, dashed are last weights, the dashed line "
        "is the target. Brackets are 95 % intervals over seeds. Processor seconds hardly grow when other work slows "
        "the machine; every schedule ends with the last epoch. The test split was "
        + (f"looked at once by each network of the first seed: accuracy on {body['tested']:,} pictures."
           if body["tested_once"] else "not reported: it is told after the last seed, where there is one."),
    ]  # fmt: skip
    head, table = table_of(body)
    return results_page(QUESTION, said, head, table, figure=_figures(body) if table else None)


def _figures(body: Mapping[str, Any]) -> list[Any]:
    epochs = list(range(1, body["setting"]["epochs"] + 1))
    scores, losses, fitted = {}, {}, {}
    for name, row in body["networks"].items():
        fitted[f"{name}, training"] = {"epoch": epochs, **row["train_loss"]}
        for kind, one in row["weights"].items():
            dashed = kind == "last"
            title = f"{name}, {WEIGHTS[kind]}"
            scores[title] = {"processor seconds": one["processor_seconds"], **one["curve"], "dashed": dashed}
            losses[title] = {"epoch": epochs, **one["loss"], "dashed": dashed}
    return [
        lines(scores, "balanced accuracy by processor seconds", y="balanced accuracy", x="processor seconds",
              aim=body["target"]), key(scores),
        lines(losses, "loss on held-out samples by epoch", y="loss", x="epoch", share=False), key(losses),
        lines(fitted, "loss in training by epoch", y="loss", x="epoch", share=False), key(fitted),
    ]  # fmt: skip
