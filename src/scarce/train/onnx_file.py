"""Writes a model as one ONNX file: preprocessing, network, calibration and operating point in one graph.

The graph takes uint8 pictures (N, S, S, C), as RGB or gray, squeezed to S pixels (the area mean where they shrink), and
gives ``logits`` and ``probabilities`` (N, K), ``features`` (N, D), and with a normal class ``defect_score`` (N,) and
``reject`` (N,) bool. Card, sizes, means, deviations and the detector of foreign samples stand in its metadata.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce.dataset import Dataset
from scarce.errors import ConfigError, DataError, TrainError
from scarce.extras import need
from scarce.lineage import canonical_json
from scarce.train.model import Model
from scarce.train.onnx_model import FORMAT, PREFIX, OnnxModel, open_file, packed

WHO: Final = "train.onnx_file"
OPSETS: Final = (18, 23)
TOLERANCE: Final = 1e-4
"""Probabilities may differ from the original's by so much."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """How a written file answers beside the original, on the same pictures.

    Attributes:
        samples: compared.
        difference: the largest one between two probabilities.
        other_classes: samples whose likeliest class is another; ``other_verdicts``: whose reject or accept is.
        bfloat16: the original computes in bfloat16 on this processor, so it is the less exact of the two.
    """

    samples: int
    difference: float
    other_classes: int
    other_verdicts: int
    bfloat16: bool


def write(model: Model, path: str | Path, *, check_on: Dataset | None = None, opset: int = OPSETS[0]) -> Checked | None:
    """Write a model of ``finetune``, ``linear_probe`` on a network, or ``blend``; the file appears whole or not at all.

    Args:
        model: the model.
        path: a new file that ends in ``.onnx``.
        check_on: real pictures that file and original must answer alike; None = unchecked.
        opset: version of the operators, 18 to 23.

    Raises:
        ConfigError: another trainer or encoder, opset or ending.
        DataError: the file is there already.
        TrainError: the graph cannot be written, or does not answer as the original does.
        MissingExtraError: torch, onnx, onnxscript or onnxruntime is not installed.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise ConfigError(
            WHO, f"{path.name} does not end in .onnx", do="for example: scarce export --format onnx m.onnx"
        )
    if path.exists():
        raise DataError(WHO, f"{path} is there already", do="name a new file: nothing is replaced")
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise ConfigError(WHO, f"opset {opset}", f"{OPSETS[0]} to {OPSETS[1]} can be written", "leave it out")
    if isinstance(model, OnnxModel):
        raise ConfigError(WHO, "the model is an ONNX file already", do="copy it")
    for module, extra in (("torch", "train"), ("onnx", "onnx"), ("onnxscript", "onnx"), ("onnxruntime", "onnx")):
        need(module, extra=extra)
    from scarce.train._graph import graph_of

    graph = graph_of(model)
    proto = _exported(graph, opset)
    _describe(proto, model, [asdict(one) for one in graph.inputs])
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=".onnx", dir=path.parent)
    os.close(handle)
    fresh = Path(name)
    try:
        fresh.write_bytes(proto.SerializeToString())
        fresh.chmod(0o644)
        checked = None if check_on is None else compare(model, open_file(fresh), check_on)
        if checked is not None:
            _refuse_other(checked)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return checked


def compare(model: Model, written: OnnxModel, ds: Dataset) -> Checked:
    """Return how a written file answers beside the original, on real pictures.

    Raises:
        DataError: there is no picture that both can judge.
    """
    from scarce.train._graph import largest_difference
    from scarce.train._loop import bfloat_helps

    both = model.predict_proba(ds), written.predict_proba(ds)
    good = np.isfinite(both[0]).all(1) & np.isfinite(both[1]).all(1)
    if not good.any():
        raise DataError(WHO, "there is no picture to check the file on", f"{len(ds)} rows", "name a version with some")
    classes = ds.schema.classes or model.classes
    normal = [classes.index(name) for name in model.card.get("normal_classes", ())]
    point = (model.card.get("operating_point") or {}).get("threshold")
    other = 0
    if normal and point is not None:
        rejects = [1.0 - side[good][:, normal].sum(1) >= point for side in both]
        other = int((rejects[0] != rejects[1]).sum())
    return Checked(
        samples=int(good.sum()), difference=largest_difference(*both),
        other_classes=int((both[0][good].argmax(1) != both[1][good].argmax(1)).sum()), other_verdicts=other,
        bfloat16=bfloat_helps("cpu"),
    )  # fmt: skip


def _refuse_other(checked: Checked) -> None:
    """Refuse a file that answers otherwise than the original.

    Raises:
        TrainError: a probability differs by more than the tolerance, or a class or verdict by more than rounding.
    """
    if checked.bfloat16 or checked.difference <= TOLERANCE:
        return
    raise TrainError(WHO, f"the written graph differs from the original by {checked.difference:.2g} in a probability",
                     f"{checked.other_classes} of {checked.samples} pictures get another class",
                     "the file was not kept; try another opset, or another network")  # fmt: skip


def _exported(graph: Any, opset: int) -> Any:
    """Return the graph as an ONNX model; the number of pictures is left open."""
    torch = need("torch", extra="train")
    pictures = tuple(torch.zeros((2, one.size, one.size, one.channels), dtype=torch.uint8) for one in graph.inputs)
    batch = torch.export.Dim("samples")
    try:
        with _silent():
            program = torch.onnx.export(
                graph, pictures, dynamo=True, opset_version=opset, input_names=[one.name for one in graph.inputs],
                output_names=list(graph.outputs), dynamic_shapes=(tuple({0: batch} for _ in pictures),), verbose=False,
                external_data=False,
            )  # fmt: skip
        return program.model_proto
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise TrainError(WHO, f"the network cannot be written with opset {opset} ({reason})",
                         do="try another opset, or another network") from error  # fmt: skip


def _describe(proto: Any, model: Model, inputs: list[dict[str, Any]]) -> None:
    """Put card, inputs and the detector of foreign samples into the metadata."""
    entries = {
        "format": FORMAT, "card": canonical_json(model.card), "inputs": json.dumps(inputs),
        "guard": packed(model.guard),
    }  # fmt: skip
    for name, text in entries.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = PREFIX + name, text
    proto.producer_name = "scarce"


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what the exporter writes about its own insides from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in loggers:
            one.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for one, level in zip(loggers, levels, strict=True):
                one.setLevel(level)
