"""A fitted model: it predicts, says what it is (its card), and lives in a folder without pickle."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from scarce.dataset import Array, Dataset, Floats, FoldView, Ints, Schema
from scarce.errors import DataError, ReadError, TrainError, UnknownNameError
from scarce.lineage import canonical_json, content_id, digest
from scarce.probe import softmax

FORMAT: Final = 1
CARD, WEIGHTS = "card.json", "weights.safetensors"
GUARD: Final = "guard/"
"""Beginning of the names of what does not belong to the weights, but to the detector of foreign samples."""
HELD: Final = "held/"
"""The same for the answers about samples that were held back from training."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Model(ABC):
    """A fitted classifier.

    Attributes:
        card: plain values that say what it is: ``trainer``, ``params``, ``classes``, ``normal_classes``, ``modality``,
            ``data`` (version, content_id, counts), ``seed``, ``loss``, ``temperature``, ``operating_point``,
            ``metrics``, ``versions`` and what the trainer adds (size, mean, std, network, encoder ...).
        held_out: (labels (M,), calibrated probabilities (M, K)) of training-side samples from a model that did not fit
            them, to choose thresholds on; saved with the model.
        held_ids: (M,) ids of the same samples, and ``held_logits`` (M, K) their logits before calibration, from a model
            that did not fit them; saved with the model.
        guard: arrays of the detector that the card's entry ``unknown`` names; empty without one.
    """

    card: dict[str, Any]
    held_out: tuple[Ints, Floats] | None = None
    held_ids: Array | None = None
    held_logits: Floats | None = None
    guard: Mapping[str, Array] = field(default_factory=dict)

    @abstractmethod
    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K) float64 logits in the model's own class order, NaN where a row was set aside."""

    def answers(self, ds: Dataset) -> tuple[Floats, Floats | None]:
        """Return :meth:`logits`, and (N, D) features of the same samples, NaN where set aside; None without any."""
        return self.logits(ds), None

    def refusals(self, ds: Dataset) -> list[str | None]:
        """Return (N,) why a readable sample is nothing that the model can judge; None = it can. By default none is."""
        return [None] * len(ds)

    @abstractmethod
    def tensors(self) -> dict[str, Array]:
        """Return all weights by name."""

    @property
    def classes(self) -> tuple[str, ...]:
        """K names, in the order of the probabilities."""
        return tuple(self.card["classes"])

    @property
    def absent_codes(self) -> list[int]:
        """Codes of the classes without a training sample."""
        return [self.classes.index(name) for name in self.card["absent_classes"]]

    @property
    def temperature(self) -> float:
        """What logits are divided by, so that probabilities are honest; 1 = not calibrated."""
        return float(self.card.get("temperature") or 1.0)

    def predict_proba(self, ds: Dataset) -> Floats:
        """Return (N, K) float64 calibrated probabilities in ``ds.schema.classes`` order; NaN where set aside.

        Raises:
            DataError: the dataset's classes are not the model's.
        """
        return self.probabilities(self.logits(ds), ds.schema)

    def probabilities(self, logits: Floats, schema: Schema) -> Floats:
        """Return (N, K) float64 calibrated probabilities of :meth:`logits` in ``schema.classes`` order.

        Raises:
            DataError: the schema's classes are not the model's.
        """
        self.refuse_stale(schema)
        probs = softmax(logits / self.temperature)
        if not schema.classes or schema.classes == self.classes:
            return np.asarray(probs, np.float64)
        return np.asarray(probs[:, [self.classes.index(name) for name in schema.classes]], np.float64)

    def natural(self, probs: Floats, schema: Schema) -> Floats:
        """Return (N, K) probabilities where classes are as common as among the held-back training samples.

        A model that learned other frequencies (balanced softmax, class weights, oversampling) answers for those. The
        prior is put right in the logits, and the temperature is fitted after that. Others are returned as they are.

        Args:
            probs: (N, K) from :meth:`predict_proba`.
            schema: whose class order they are in; without classes the model's own.
        """
        entry = self.card.get("natural")
        if not entry:
            return probs
        order = [self.classes.index(name) for name in schema.classes or self.classes]
        logits = self.temperature * np.log(np.maximum(probs, np.finfo(np.float64).tiny))
        bias = np.asarray(entry["bias"], np.float64)[order]
        return np.asarray(softmax((logits + bias) / float(entry["temperature"])), np.float64)

    def stale(self, schema: Schema) -> str | None:
        """Return why the model no longer fits the data's classes, or None."""
        own, theirs = set(self.classes), set(schema.classes)
        if own == theirs:
            return None
        new, gone = sorted(theirs - own), sorted(own - theirs)
        parts = [f"the data has {new}, which the model does not know"] if new else []
        parts += [f"the model knows {gone}, which the data no longer has"] if gone else []
        return "the classes changed: " + "; ".join(parts)

    def refuse_stale(self, schema: Schema) -> None:
        """Refuse data whose classes are not the model's.

        Raises:
            DataError: :meth:`stale` says why.
        """
        stale = self.stale(schema)
        if stale and schema.classes:
            raise DataError("model", stale, do="train again, or open the version that it was trained on")

    def judged_on(self, ds: Dataset) -> Dataset:
        """Return the data in the classes that the model can be judged in; most models know those of the data."""
        return ds

    def calibrate(self, temperature: float) -> None:
        """Set the temperature; the trainers fit one themselves, on samples that they did not train on."""
        if not temperature > 0:
            raise DataError("model", f"temperature = {temperature}", do="give a number above 0")
        self.card["temperature"] = float(temperature)

    def stamped(self, **entries: Any) -> Self:
        """Return the model with entries of its card set, for example ``operating_point`` or ``metrics``."""
        return replace(self, card={**self.card, **entries})

    def save(self, folder: str | Path) -> Path:
        """Write ``weights.safetensors`` and ``card.json``; the folder appears whole or not at all.

        The card also says how large the file is (``weights_bytes``), and how many numbers with a fraction the model has
        (``parameters``); those of an encoder that makes its features are not among them.

        An older model in that folder is replaced.
        """
        from safetensors.numpy import save_file

        folder = Path(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        fresh.chmod(0o755)
        try:
            guard = {GUARD + name: array for name, array in self.guard.items()}
            tensors = self.tensors()
            arrays = {**tensors, **guard, **self._held()}
            written = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
            # one entry only: safetensors writes several in an order of chance, and equal weights are equal bytes here
            save_file(written, fresh / WEIGHTS, metadata={"format": f"scarce {FORMAT}"})
            content = (fresh / WEIGHTS).read_bytes()
            body = {
                "format": FORMAT, **self.card, "weights": digest(content), "weights_bytes": len(content),
                "parameters": sum(array.size for array in tensors.values() if array.dtype.kind == "f"),
            }  # fmt: skip
            text = json.dumps(json.loads(canonical_json(body)), indent=2, ensure_ascii=False, allow_nan=False)
            (fresh / CARD).write_text(text + "\n", encoding="utf-8")
            _swap(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return folder

    def _held(self) -> dict[str, Array]:
        """Return the answers about held-back samples as arrays: ids as bytes, labels, logits."""
        if self.held_out is None or self.held_logits is None or self.held_ids is None or not len(self.held_ids):
            return {}
        ids = np.char.encode(self.held_ids.astype(str), "utf-8")
        return {
            HELD + "ids": ids.view(np.uint8).reshape(len(ids), -1), HELD + "labels": self.held_out[0],
            HELD + "logits": self.held_logits,
        }  # fmt: skip

    def with_held(self, tensors: Mapping[str, Array]) -> Self:
        """Return the model with the answers about held-back samples that were saved with it, if there are any."""
        if HELD + "logits" not in tensors:
            return self
        ids, labels, logits = (np.ascontiguousarray(tensors[HELD + name]) for name in ("ids", "labels", "logits"))
        names = np.char.decode(ids.view(f"S{ids.shape[1]}")[:, 0], "utf-8").astype(object)
        probs = np.asarray(softmax(logits / self.temperature), np.float64)
        return replace(self, held_out=(labels, probs), held_ids=names, held_logits=logits)


def load(folder: str | Path) -> Model:
    """Bring a saved model back: a folder, or a file ``.onnx``.

    Raises:
        ReadError: the folder holds no whole model.
        TrainError: it was written by a newer scarce or by a trainer that is not installed.
    """
    folder = Path(folder)
    if folder.suffix.lower() == ".onnx" and not folder.is_dir():
        from scarce.train.onnx_model import open_file

        return open_file(folder)
    _finish_swap(folder)
    card = _read_card(folder)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / WEIGHTS
    try:
        sound = digest(path.read_bytes()) == card.get("weights")
        tensors = load_file(path) if sound else {}
    except FileNotFoundError as error:
        raise ReadError("model", f"{path} is missing", do="save the model again") from error
    except (SafetensorError, OSError) as error:
        raise ReadError("model", f"{path} cannot be read ({error})", do="save the model again") from error
    if not sound:
        raise ReadError("model", f"{path} is not the file that {CARD} describes", "it is corrupt or from another model",
                        "save the model again")  # fmt: skip
    return _restore(folder, card, tensors)


def _restore(folder: Path, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
    from scarce.registry import load as load_plugin
    from scarce.train._base import AbstractTrainer

    try:
        trainer = load_plugin("train", str(card["trainer"]), AbstractTrainer)  # type: ignore[type-abstract]
    except UnknownNameError as error:
        raise TrainError("model", f"{folder} was trained by {card['trainer']!r}", error.there,
                         "install the package that brings it") from error  # fmt: skip
    guard = {name.removeprefix(GUARD): array for name, array in tensors.items() if name.startswith(GUARD)}
    try:
        own = {name: array for name, array in tensors.items() if not name.startswith((GUARD, HELD))}
        return replace(trainer.restore(card, own), guard=guard).with_held(tensors)
    except (KeyError, RuntimeError, TypeError) as error:
        if isinstance(error, TrainError):
            raise
        raise ReadError("model", f"the weights in {folder} do not fit their card ({error})",
                        do="save the model again") from error  # fmt: skip


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / CARD
    if not folder.is_dir():
        near = sorted(item.parent.name for item in folder.parent.glob(f"*/{CARD}")) if folder.parent.is_dir() else []
        raise ReadError("model", f"there is no folder {folder}", f"models beside it: {', '.join(near) or 'none'}")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        foreign = sorted(item.name for item in folder.iterdir())[:5]
        raise ReadError("model", f"{folder} holds no {CARD}", f"it holds {foreign}",
                        "give a folder that scarce train wrote") from error  # fmt: skip
    except (OSError, ValueError) as error:
        raise ReadError("model", f"{path} cannot be read ({error})", do="save the model again") from error
    if not isinstance(card, dict) or not {"format", "trainer", "classes"} <= set(card):
        raise ReadError("model", f"{path} is no card of scarce", do="give a folder that scarce train wrote")
    if card["format"] != FORMAT:
        raise TrainError("model", f"{path} has format {card['format']}", f"this scarce reads {FORMAT}", "update scarce")
    return card


def _swap(fresh: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.replace(old)
    fresh.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def _finish_swap(folder: Path) -> None:
    """Bring the old model back where a crash fell between the two renames of :func:`_swap`."""
    old = folder.with_name(f".{folder.name}.old")
    if not folder.exists() and (old / CARD).is_file():
        old.replace(folder)


def base_card(view: FoldView, trainer: str, params: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """Return the entries that every card has."""
    train, schema = view.train, view.dataset.schema
    steps = view.dataset.steps
    names = [None if code < 0 else schema.classes[code] for code in train["label"].tolist()]
    origins = train["origin"].tolist()
    counts = {
        name: {
            origin: sum(1 for a, b in zip(names, origins, strict=True) if a == name and b == origin)
            for origin in sorted(set(origins))
        }
        for name in schema.classes
    }
    return {
        "trainer": trainer, "params": dict(params), "classes": list(schema.classes),
        "normal_classes": list(schema.normal_classes), "modality": schema.modality, "seed": seed,
        "data": {
            "version": steps[-1].step_id if steps else None,
            "content_id": content_id(train.table, {"classes": list(schema.classes)}),
            "counts": counts,
        },
        "temperature": 1.0, "operating_point": None, "metrics": {},
        "made": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions(),
    }  # fmt: skip


def versions() -> dict[str, str]:
    """Return the versions of what a model's numbers depend on."""
    found = {"python": platform.python_version()}
    for name in ("scarce", "numpy", "scikit-learn", "opencv-python-headless", "torch", "timm"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
