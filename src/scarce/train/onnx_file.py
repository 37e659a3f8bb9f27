"""Writes a model as one ONNX file: preprocessing, network, calibration and operating point in one graph.

The graph takes uint8 pictures (N, S, S, C), as RGB or gray, squeezed to S pixels (the area mean where both sides
shrink), log-mel pictures of sounds, or the features of an encoder that needs no torch. It gives ``logits`` and
``probabilities`` (N, K), ``features`` (N, D), and with a normal class ``defect_score`` (N,) and ``reject`` (N,) bool.
Card, shapes, means, deviations and the detector of foreign samples stand in its metadata.
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
from scarce.execute.precision import exact
from scarce.extras import need
from scarce.lineage import canonical_json
from scarce.train._said import Said, said, verdict
from scarce.train.model import Model
from scarce.train.onnx_model import FORMAT, PREFIX, OnnxModel, open_file, packed

WHO: Final = "train.onnx_file"
OPSETS: Final = (18, 23)
TOLERANCE: Final = 1e-4
"""Probabilities may differ from the original's by so much; a verdict so near to its threshold may fall either way.

On samples that were not checked one may differ by a little more where features are kept in 16 bits: last digits in
float32 then decide which way one of them is rounded.
"""
FOREIGN_TOLERANCE: Final = 1e-3
"""The same for scores of foreign samples, as a share of their threshold."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """How a written file answers beside the original, on the same pictures.

    Attributes:
        samples: compared.
        difference: the largest one between two probabilities.
        other_classes: samples whose likeliest class is another; ``other_verdicts``: whose verdict is (accept, reject,
            unknown, ambiguous).
        unlike: those of both kinds that do not lie within rounding of a threshold.
    """

    samples: int
    difference: float
    other_classes: int
    other_verdicts: int
    unlike: int


def write(model: Model, path: str | Path, *, check_on: Dataset | None = None, opset: int = OPSETS[0]) -> Checked | None:
    """Write a model of ``finetune``, ``blend``, ``linear_probe``, ``prototype`` or ``logmel_network``.

    The file appears whole or not at all.

    Args:
        model: the model.
        path: a new file that ends in ``.onnx``.
        check_on: real samples that file and original must answer alike; None = unchecked.
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
        checked = None
        if check_on is not None:
            written = open_file(fresh)
            checked = compare(model, written, check_on)
            _refuse_other(checked)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return checked


def compare(model: Model, written: OnnxModel, ds: Dataset) -> Checked:
    """Return how a written file answers beside the original in float32, on real samples.

    Raises:
        DataError: there is no sample that both can judge.
    """
    order = [ds.schema.classes.index(name) for name in model.classes] if ds.schema.classes else slice(None)
    with exact():
        both = [Said(found.probs[:, order], found.foreign) for found in (said(model, ds), said(written, ds))]
    good = np.flatnonzero(np.isfinite(both[0].probs).all(1) & np.isfinite(both[1].probs).all(1))
    if not len(good):
        raise DataError(WHO, "there is no sample to check the file on", f"{len(ds)} rows", "name a version with some")
    point = (model.card.get("operating_point") or {}).get("threshold")
    told = [[_decided(model, one, row, point) for row in good.tolist()] for one in both]
    other = [row for row, first, second in zip(good.tolist(), *told, strict=True) if first != second]
    pairs = list(zip(*told, strict=True))
    return Checked(
        samples=len(good), difference=float(np.abs(both[0].probs[good] - both[1].probs[good]).max()),
        other_classes=sum(first[0] != second[0] for first, second in pairs),
        other_verdicts=sum(first[1] != second[1] for first, second in pairs),
        unlike=sum(not _is_close(model, both[0], row, point) for row in other),
    )  # fmt: skip


def _decided(model: Model, found: Said, row: int, point: float | None) -> tuple[int, str | None]:
    return int(found.probs[row].argmax()), verdict(model, found.probs[row], float(found.foreign[row]), point)


def _is_close(model: Model, found: Said, row: int, point: float | None) -> bool:
    """Return whether a sample lies so near to a threshold that rounding decides."""
    probs, foreign = np.sort(found.probs[row])[::-1], float(found.foreign[row])
    normal = [model.classes.index(name) for name in model.card.get("normal_classes", ())]
    unknown, several = model.card.get("unknown") or {}, model.card.get("ambiguous") or {}
    gaps = [0.5 * (probs[0] - probs[1])]
    if normal and point is not None:
        gaps.append(1.0 - found.probs[row, normal].sum() - point)
    if several.get("threshold") is not None:
        gaps += list(probs - float(several["threshold"]))
    limit = unknown.get("threshold")
    near = limit is not None and abs(foreign - float(limit)) <= FOREIGN_TOLERANCE * max(1.0, abs(float(limit)))
    return near or bool(np.abs(gaps).min() <= TOLERANCE)


def _refuse_other(checked: Checked) -> None:
    """Refuse a file that answers otherwise than the original.

    Raises:
        TrainError: a probability differs by more than the tolerance, or a class or verdict by more than rounding.
    """
    if checked.difference <= TOLERANCE and not checked.unlike:
        return
    raise TrainError(WHO, f"the written graph differs from the original by {checked.difference:.2g} in a probability",
                     f"of {checked.samples} samples {checked.other_classes} get another class, "
                     f"{checked.other_verdicts} another verdict",
                     "the file was not kept; try another opset, or another network")  # fmt: skip


def _exported(graph: Any, opset: int) -> Any:
    """Return the graph as an ONNX model; the number of pictures is left open."""
    torch = need("torch", extra="train")
    blank = tuple(one.blank(2) for one in graph.inputs)
    batch = torch.export.Dim("samples")
    try:
        with _silent():
            program = torch.onnx.export(
                graph, blank, dynamo=True, opset_version=opset, input_names=[one.name for one in graph.inputs],
                output_names=list(graph.outputs), dynamic_shapes=(tuple({0: batch} for _ in blank),), verbose=False,
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
