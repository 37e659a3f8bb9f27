"""A model out of an ONNX file: answers with onnxruntime alone, torch is not needed."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import ReadError, TrainError
from scarce.execute.local import cores
from scarce.extras import need
from scarce.train._pixels import Shape, load_pixels
from scarce.train.linear_probe import PREFIX as EMBEDDING
from scarce.train.linear_probe import encoded
from scarce.train.logmel_network import pictures_of
from scarce.train.model import Model

WHO: Final = "model"
FORMAT: Final = "1"
BLOCK, AT_ONCE = 32, 128
"""Pictures that pass through the graph at once, and that are opened at once."""
PREFIX: Final = "scarce."
"""Beginning of the names of our entries in the file's metadata: format, card, inputs, guard."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxModel(Model):
    """A graph that normalizes, classifies and decides, and the card of the model that it was written from."""

    session: Any
    inputs: tuple[Mapping[str, Any], ...]

    def logits(self, ds: Dataset) -> Floats:
        """Return (N, K) logits; samples are opened in blocks, set-aside rows are NaN."""
        return self.answers(ds)[0]

    def answers(self, ds: Dataset) -> tuple[Floats, Floats | None]:
        """Return (N, K) logits and (N, D) features; None where the graph gives none."""
        rows = np.flatnonzero(ds["keep"].astype(bool))
        logits = np.full((len(ds), len(self.classes)), np.nan)
        features: Floats | None = None
        with ThreadPoolExecutor(1, "open") as pool:  # the next pictures are opened while the graph is at work
            blocks = [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]
            waiting = pool.submit(self.opened, ds, blocks[0]) if blocks else None
            for place, block in enumerate(blocks):
                assert waiting is not None
                given = waiting.result()
                if place + 1 < len(blocks):
                    waiting = pool.submit(self.opened, ds, blocks[place + 1])
                found = self.run(given)
                logits[block] = found["logits"]
                if "features" in found:
                    features = np.full((len(ds), found["features"].shape[1]), np.nan) if features is None else features
                    features[block] = found["features"]
        return logits, features

    def run(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """Return all outputs of the graph by name, (n, ...) each.

        Args:
            given: input name to its samples, (n, S, S, C) uint8 where they are pictures.
        """
        names = [output.name for output in self.session.get_outputs()]
        n = len(next(iter(given.values())))
        parts = [
            self.session.run(names, {name: array[start : start + BLOCK] for name, array in given.items()})
            for start in range(0, n, BLOCK)
        ]
        return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(names)}

    def tensors(self) -> dict[str, Array]:
        """Refuse: weights stay in their file.

        Raises:
            TrainError: always.
        """
        raise TrainError(WHO, "a model out of an ONNX file cannot be saved again", do="copy the file")

    def opened(self, ds: Dataset, rows: Ints) -> dict[str, Array]:
        """Return what each input of the graph takes."""
        return {one["name"]: _samples(ds, rows, one) for one in self.inputs}


def _samples(ds: Dataset, rows: Ints, given: Mapping[str, Any]) -> Array:
    """Return some rows as one input of a graph takes them."""
    if given["kind"] == "pictures":
        return load_pixels(ds, rows, Shape(given["shape"][0], given["shape"][2]))
    if given["kind"] == "log_mel":
        return pictures_of(ds, rows, *given["shape"][:2])
    part = encoded(ds.take(rows), given["encoder"], given["params"])
    return np.asarray(part[EMBEDDING + given["encoder"]], np.float32)


def open_file(path: str | Path) -> OnnxModel:
    """Bring a model back that :func:`scarce.train.onnx_file.write` wrote.

    Raises:
        ReadError: the file is missing, broken, or was not written by scarce.
        TrainError: it was written by a newer scarce.
        MissingExtraError: onnxruntime is not installed.
    """
    path = Path(path)
    if not path.is_file():
        beside = sorted(item.name for item in path.parent.glob("*.onnx")) if path.parent.is_dir() else []
        raise ReadError(WHO, f"there is no file {path}", f"ONNX files beside it: {', '.join(beside) or 'none'}")
    runtime: Any = need("onnxruntime", extra="onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = cores(), 3
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ReadError(WHO, f"{path} cannot be opened ({_first_line(error)})", "it is broken or no ONNX file",
                        "write it again: scarce export --format onnx") from error  # fmt: skip
    return _model_of(path, session)


def _model_of(path: Path, session: Any) -> OnnxModel:
    """Return the model with the card and all else that stands in the file's metadata."""
    held = dict(session.get_modelmeta().custom_metadata_map)
    told = held.get(PREFIX + "format")
    if told is None:
        raise ReadError(WHO, f"{path} was not written by scarce", f"its metadata holds {sorted(held)[:5]}",
                        "write one with scarce export --format onnx")  # fmt: skip
    if told != FORMAT:
        raise TrainError(WHO, f"{path} has format {told}", f"this scarce reads {FORMAT}", "update scarce")
    try:
        card, inputs = json.loads(held[PREFIX + "card"]), json.loads(held[PREFIX + "inputs"])
        guard = unpacked(held.get(PREFIX + "guard", ""))
        found = [one.name for one in session.get_inputs()]
        if [one["name"] for one in inputs] != found or not {"trainer", "classes"} <= set(card):
            raise KeyError(f"inputs {found}")  # noqa: TRY301 - told with all others below
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise ReadError(WHO, f"the metadata of {path} do not fit its graph ({_first_line(error)})",
                        do="write it again: scarce export --format onnx") from error  # fmt: skip
    return OnnxModel(card=card, guard=guard, session=session, inputs=tuple(inputs))


def packed(arrays: Mapping[str, Array]) -> str:
    """Return arrays as text; empty without any."""
    if not arrays:
        return ""
    held = io.BytesIO()
    np.savez_compressed(held, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    return base64.b64encode(held.getvalue()).decode("ascii")


def unpacked(text: str) -> dict[str, Array]:
    """Return the arrays of :func:`packed`."""
    if not text:
        return {}
    with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
