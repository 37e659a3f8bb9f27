"""The driver of rebalancing: counts of the training rows in, loss or weights out."""

from __future__ import annotations

import numpy as np

from scarce.dataset import Array, Dataset, Ints
from scarce.errors import DataError
from scarce.lineage import Step, key64
from scarce.rebalance._base import AbstractRebalance, Adjustment, warn_of_pixels
from scarce.rebalance._resample import Resampled
from scarce.registry import load


def adjust(ds: Dataset, method: AbstractRebalance | str) -> Adjustment:
    """Return what a method asks for, from the counts of the kept, labelled training rows.

    Args:
        ds: the data; where it is not split yet, all rows count.
        method: a plugin, or its name for the defaults.
    """
    counts = _counts(ds, _train(ds))
    return _plugin(method).adjust(dict(zip(ds.schema.classes, counts.tolist(), strict=True)))


def resample(
    ds: Dataset, method: AbstractRebalance | str, *, embedding: str | None = None, seed: int = 0
) -> tuple[Resampled, Ints]:
    """Return training samples with others added or left out, in the space of their features, and their rows.

    Pictures, texts and sounds are interpolated between features of an encoder and not between pixels or letters.

    Args:
        ds: the data, with features; only kept, labelled, real training rows that have features are used.
        method: a plugin, or its name for the defaults.
        embedding: column of the features; None = those that were added last.
        seed: of what is drawn.

    Returns:
        What was drawn, with class names as labels, and (N,) row numbers of ``ds`` that it was drawn from; its
        ``lineage(ds.ids[rows])`` names the parents of every new sample.

    Raises:
        DataError: there are no features, or the method changes no samples.
    """
    plugin = _plugin(method)
    found = [column for column in ds.wide if column.startswith("embedding.")]
    name = embedding if embedding is None or embedding.startswith("embedding.") else f"embedding.{embedding}"
    if not found or name not in (None, *found):
        raise DataError(f"rebalance.{plugin.plugin_name()}", f"there are no features {name or ''}".rstrip(),
                        f"there are {', '.join(found)}" if found else "", "run scarce encode")  # fmt: skip
    column = name or found[-1]
    features = np.asarray(ds.wide[column])
    rows = _train(ds)
    rows = rows[(ds["origin"][rows] == "real") & np.isfinite(features[rows]).all(axis=1)]
    if plugin.interpolates and column.rpartition(".")[2] == "pixel":
        warn_of_pixels(plugin.plugin_name())
    labels = np.asarray(ds.schema.classes)[ds["label"][rows]]
    return plugin.resample(features[rows], labels, seed=seed), rows


def run(ds: Dataset, method: AbstractRebalance | str, *, seed: int = 0) -> Dataset:
    """Return the data with ``weight`` set on the training rows: class weights, and 0 for rows left out.

    A trainer takes either this column or the loss's class weights, never both. Methods that only change the loss
    otherwise (balanced softmax, focal) and those that add rows (oversample) do not change the column.

    Args:
        ds: the data.
        method: a plugin, or its name for the defaults.
        seed: which rows an undersampling leaves out.

    Raises:
        DataError: the method sets no weights.
    """
    plugin = _plugin(method)
    rows = _train(ds)
    asked = adjust(ds, plugin)
    if asked.loss.class_weights is None and asked.keep is None:
        raise DataError(f"rebalance.{plugin.plugin_name()}", "this method sets no sample weights",
                        do="take its loss or its counts from rebalance.adjust")  # fmt: skip
    weight, labels = ds["weight"].astype(np.float32).copy(), ds["label"]
    if asked.loss.class_weights is not None:
        weight[rows] = np.asarray(asked.loss.class_weights, np.float32)[labels[rows]]
    if asked.keep is not None:
        order = np.array([key64(f"{seed}:{sample}") for sample in ds.ids[rows]], np.uint64)
        for code, most in enumerate(asked.keep):
            own = labels[rows] == code
            weight[rows[own][np.argsort(order[own])[most:]]] = 0.0
    step = Step(stage="rebalance", name=plugin.plugin_name(), params=plugin.params(), seed=seed)
    return ds.with_columns({"weight": weight}).with_step(step)


def _plugin(method: AbstractRebalance | str) -> AbstractRebalance:
    if isinstance(method, str):
        return load("rebalance", method, AbstractRebalance)()  # type: ignore[type-abstract]
    return method


def _train(ds: Dataset) -> Array:
    mask = ds["keep"].astype(bool) & (ds["label"] >= 0)
    if "split" in ds:
        mask &= ds["split"] == "train"
    return np.flatnonzero(mask)


def _counts(ds: Dataset, rows: Array) -> Array:
    return np.bincount(ds["label"][rows], minlength=len(ds.schema.classes))
