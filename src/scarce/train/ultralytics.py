"""Training of a YOLO detector by Ultralytics, in an environment and a process of its own."""

from __future__ import annotations

import csv
import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, final

import numpy as np

from scarce import io
from scarce.dataset import Array, Dataset, FoldView
from scarce.errors import ConfigError, MissingExtraError, TrainError
from scarce.extras import available
from scarce.lineage import canonical_json, digest
from scarce.modality import open_samples
from scarce.train._base import AbstractTrainer, Setup, refuse_out_of_range
from scarce.train._boxes import BoxModel, Drawn, card_of, chosen_rows, held_out, tell_absent
from scarce.train._ultralytics_policy import OFF, settings_of
from scarce.train.model import Model

WHO: Final = "train.ultralytics"
CHILD: Final = Path(__file__).with_name("_ultralytics_child.py")
MARK: Final = "scarce-ultralytics:"
HERE: Final = ".venv-ultralytics/bin/python"
INSTALL: Final = (
    "Ultralytics is under the AGPL-3.0, so scarce never installs it. If that licence suits you: python3 -m venv "
    ".venv-ultralytics && .venv-ultralytics/bin/pip install ultralytics, then run again here, or name its python "
    "under [train.ultralytics]; or take --model detector"
)
_log = logging.getLogger("scarce.train")


@final
@dataclass(frozen=True, kw_only=True)
class Ultralytics(AbstractTrainer):
    """Train a YOLO detector with Ultralytics (AGPL-3.0), which you install yourself into an environment of its own.

    Use when a YOLO network is wanted, and the AGPL suits you. Do not use otherwise: ``detector`` needs nothing more.

    Needs: pictures with ``meta.boxes``; ``[]`` means somebody looked and found nothing; where nobody looked, pictures
    are left out. Rows of split ``val`` choose the epoch; without any the training pictures do.
    Writes: a model that draws boxes. scarce writes ``data.yaml`` and labels, Ultralytics trains in its own process and
    hands over plain arrays, which are kept as safetensors; predicting needs the environment again. Ultralytics is told
    to send no statistics. Same seed, data and machine are meant to give the same weights.
    Source: Jocher et al. 2023, https://docs.ultralytics.com

    Args:
        python: interpreter of an environment with Ultralytics; empty = .venv-ultralytics/bin/python here, or this one.
        network: a description (``yolo11n.yaml``, from random weights) or weights (``yolo11n.pt``: Ultralytics fetches
            them, or a file).
        size: pixels of the longer side, a multiple of 32.
        epochs: passes over the pictures.
        minutes: time budget in place of ``epochs``. None = none.
        batch: pictures a step.
        learning_rate: at its highest; None = Ultralytics' own choice.
        class_weights: ``auto`` weighs classes by inverse frequency; lists are not possible here.
        augment: ``light`` (mirrored pictures), ``own`` (what Ultralytics does by itself, with mosaics) or ``none``.
        policy: preset or file of :mod:`scarce.augment` in place of ``augment``; what Ultralytics has no setting for is
            left out and told.
        score: boxes below it are not given out.
        overlap: of two boxes of one class that overlap more, the surer one is kept.
        most: boxes a picture.
        threads: of the processor; 0 = as many as torch takes.
        device: auto, cpu, 0 (the first CUDA device), mps.
    """

    modalities: ClassVar[tuple[str, ...]] = ("image",)
    task: ClassVar[str] = "boxes"

    python: str = ""
    network: str = "yolo11n.yaml"
    size: int = 640
    epochs: int = 100
    minutes: float | None = None
    batch: int = 16
    learning_rate: float | None = None
    class_weights: Literal["auto"] | None = None
    augment: Literal["light", "own", "none"] = "light"
    policy: str | None = None
    score: float = 0.02
    overlap: float = 0.5
    most: int = 100
    threads: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        refuse_out_of_range(WHO, self, {
            "size": (32, 8192), "epochs": (1, 100_000), "minutes": (1e-9, 1e6), "batch": (1, 1024),
            "learning_rate": (1e-9, 10.0), "score": (0.0, 1.0), "overlap": (0.0, 1.0), "most": (1, 10_000),
            "threads": (0, 1024),
        })  # fmt: skip
        if self.size % 32:
            raise ConfigError(WHO, f"size = {self.size} is no multiple of 32", do=f"take {self.size // 32 * 32 or 32}")
        if self.class_weights not in (None, "auto"):
            raise ConfigError(WHO, "Ultralytics takes no list of class weights",
                              do="give --class-weights auto, or take --model detector")  # fmt: skip

    def fit(self, view: FoldView, *, seed: int = 0, setup: Setup | None = None) -> Model:
        """Write the training side of the fold, let Ultralytics train, and read back what it wrote."""
        setup, train = setup or Setup(), view.train
        python = interpreter(self.python)
        sets, used, held = chosen_rows(train, setup, WHO)
        card = card_of(view, "ultralytics", self.params(), [sets[row] for row in used], seed=seed)
        tell_absent(card)
        told, name, without = self._augmentation(setup)
        if without:
            _log.warning("Ultralytics has no setting for %s: left out", ", ".join(without))
        content = [part.tobytes() for one in sets if one is not None for part in (one.corners, one.codes)]
        mark = digest(canonical_json({"params": self.params(), "seed": seed, "augment": told}),
                      "".join(train.ids[used]), "".join(train.ids[held]), *content)  # fmt: skip
        with _workplace(setup.checkpoint, mark) as (folder, again):
            data = _written(train, (used, held), folder / "data")
            args = self._arguments(data, folder, seed) | told
            answer = _child(python, folder, {
                "do": "train", "network": self.network, "args": args, "resume": again, "threads": self.threads,
                "out": str(folder / "weights.npz"),
            })  # fmt: skip
            history = read_history(Path(answer["results"]))
            with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
                tensors = {key: arrays[key] for key in arrays.files}
        card |= {
            "network": self.network, "weights_from": "scratch" if self.network.endswith(".yaml") else self.network,
            "size": self.size, "design": answer["design"], "augment": name, "augment_settings": told,
            "augment_left_out": list(without), "loss": "ultralytics", "history": history, "epochs": len(history),
            "made_with": f"ultralytics {answer['version']} (AGPL-3.0)",
        }  # fmt: skip
        card["versions"] = {**card["versions"], "ultralytics": answer["version"]}
        model = UltralyticsModel(card=card, arrays=tensors)
        return model.stamped(metrics=held_out(model, train, held, sets))

    @classmethod
    def restore(cls, card: Mapping[str, Any], tensors: Mapping[str, Array]) -> Model:
        """Take the weights; the network is built where it predicts."""
        return UltralyticsModel(card=dict(card), arrays=dict(tensors))

    def _augmentation(self, setup: Setup) -> tuple[dict[str, float], str, tuple[str, ...]]:
        policy: Any = setup.online
        if policy is None and self.policy:
            policy = importlib.import_module("scarce.augment.policy").policy(self.policy)  # a sibling stage
        if policy is not None:
            if not hasattr(policy, "parts"):
                raise ConfigError(WHO, f"{type(policy).__name__} has no operations", do="give a policy")
            told, without = settings_of(policy.parts())
            return told, str(policy.name), without
        if self.augment == "own":
            return {}, "own", ()
        return {**OFF, "fliplr": 0.5 if self.augment == "light" else 0.0}, self.augment, ()

    def _arguments(self, data: Path, folder: Path, seed: int) -> dict[str, Any]:
        args: dict[str, Any] = {
            "data": str(data), "imgsz": self.size, "epochs": self.epochs, "batch": self.batch, "seed": seed,
            "deterministic": True, "project": str(folder), "name": "run", "exist_ok": True, "plots": False,
            "verbose": False, "workers": 0, "amp": False, "pretrained": not self.network.endswith(".yaml"),
        }  # fmt: skip
        if self.minutes is not None:
            args["time"] = self.minutes / 60
        if self.learning_rate is not None:
            args |= {"lr0": self.learning_rate, "optimizer": "AdamW"}
        if self.class_weights == "auto":
            args["cls_pw"] = 1.0
        return args | _device(self.device)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class UltralyticsModel(BoxModel):
    """A YOLO network that answers through its own environment."""

    arrays: Mapping[str, Array]

    def detect(self, ds: Dataset) -> list[Drawn | None]:
        """Return N sets of boxes, the surest first; classes without a training box are never answered."""
        out: list[Drawn | None] = [None] * len(ds)
        rows = np.flatnonzero(ds["keep"].astype(bool)).tolist()
        if not rows:
            return out
        params = self.card["params"]
        with tempfile.TemporaryDirectory() as where:
            folder = Path(where)
            arrays: dict[str, Any] = dict(self.arrays)
            np.savez(folder / "weights.npz", **arrays)
            _child(interpreter(params["python"]), folder, {
                "do": "predict", "network": f"{Path(self.card['network']).stem}.yaml", "design": self.card["design"],
                "folder": where, "weights": str(folder / "weights.npz"), "out": str(folder / "boxes.json"),
                "pictures": [_picture(ds, row, folder) for row in rows], "threads": params["threads"],
                "args": {"imgsz": params["size"], "conf": params["score"], "iou": params["overlap"],
                         "max_det": params["most"], **_device(params["device"])},
            })  # fmt: skip
            found = json.loads((folder / "boxes.json").read_text(encoding="utf-8"))
        absent = [self.classes.index(name) for name in self.card["absent_classes"]]
        for row, one in zip(rows, found, strict=True):
            boxes = Drawn.of(one["corners"], one["codes"], one["scores"])
            out[row] = boxes.only(~np.isin(boxes.codes, absent))
        return out

    def tensors(self) -> dict[str, Array]:
        """Return the network's weights."""
        return dict(self.arrays)


def interpreter(named: str = "") -> str:
    """Return a Python that has Ultralytics: the named one, else one of an environment here, else this one.

    Raises:
        ConfigError: there is no such file.
        MissingExtraError: none has it; the message tells the licence and how to install it.
    """
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(WHO, f"there is no interpreter {path}", do=INSTALL)
        return str(path.absolute())
    if Path(HERE).is_file():
        return str(Path(HERE).absolute())
    if available("ultralytics"):
        return sys.executable
    raise MissingExtraError(WHO, "there is no Python with Ultralytics", f"looked for {HERE} and in this one", INSTALL)


def read_history(path: Path) -> list[dict[str, float]]:
    """Return what ``results.csv`` of Ultralytics says of each epoch, by its own column names.

    Raises:
        TrainError: there is no such file, or it has no epoch.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{str(k).strip(): float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise TrainError(WHO, f"{path.name} of Ultralytics cannot be read ({error})") from error
    if not rows:
        raise TrainError(WHO, f"{path.name} of Ultralytics has no epoch", do="give more minutes")
    return rows


@contextmanager
def _workplace(checkpoint: Path | None, mark: str) -> Iterator[tuple[Path, bool]]:
    """Give a folder, and whether a training of the same data and settings was begun there."""
    if checkpoint is None:
        with tempfile.TemporaryDirectory() as where:
            yield Path(where), False
        return
    told = checkpoint / "training.json"
    again = told.is_file() and told.read_text(encoding="utf-8") == mark
    if not again:
        shutil.rmtree(checkpoint, ignore_errors=True)
        checkpoint.mkdir(parents=True)
        told.write_text(mark, encoding="utf-8")
    yield checkpoint.absolute(), again


def _written(train: Dataset, rows: tuple[Array, Array], folder: Path) -> Path:
    """Write pictures (as links) and labels, and return the path of ``data.yaml``."""
    used, held = rows
    ds = train.take(np.concatenate([used, held]))
    ds = ds.with_columns({"split": ["train"] * len(used) + ["val"] * len(held)})
    shutil.rmtree(folder, ignore_errors=True)
    io.write(ds, folder, format="yolo", files="link")
    path = folder / "data.yaml"
    text = path.read_text(encoding="utf-8")
    if not len(held):
        text = text.replace("train: images/train\n", "train: images/train\nval: images/train\n")
    path.write_text(f"path: {json.dumps(str(folder))}\n{text}", encoding="utf-8")
    return path


def _picture(ds: Dataset, row: int, folder: Path) -> str:
    import cv2

    image: Any = np.asarray(open_samples(ds, [row])[0])
    image = image if image.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2BGR)
    path = folder / f"{row}.png"
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return str(path)


def _device(name: str) -> dict[str, str]:
    return {} if name == "auto" else {"device": name}


def _child(python: str, folder: Path, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run a job in the environment of Ultralytics and return its answer; the child ends when this process does.

    Raises:
        TrainError: it failed; the message has the end of what it said.
    """
    order, log = folder / "job.json", folder / "ultralytics.log"
    order.write_text(json.dumps(job), encoding="utf-8")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env |= {"YOLO_CONFIG_DIR": str(folder), "YOLO_AUTOINSTALL": "false"}
    if str(job["network"]).endswith(".yaml"):
        env["YOLO_OFFLINE"] = "true"  # nothing is to be fetched
    with log.open("wb") as out:
        process = subprocess.Popen(
            [python, "-W", "ignore", str(CHILD), str(order)], stdin=subprocess.PIPE, stdout=out,
            stderr=subprocess.STDOUT, env=env, cwd=folder,
        )  # fmt: skip
        try:
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
    said = log.read_text(encoding="utf-8", errors="replace")
    answer = next((line for line in said.splitlines() if line.startswith(MARK)), None)
    if code or answer is None:
        raise TrainError(WHO, f"Ultralytics ended with code {code}", said.strip()[-500:],
                         "see what it says; a network that must be fetched needs the internet")  # fmt: skip
    return dict(json.loads(answer.removeprefix(MARK)))
