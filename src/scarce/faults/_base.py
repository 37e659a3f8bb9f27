"""What faults are planted into, what is known about them afterwards, and the frame of a fault."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from scarce.dataset import Array, Dataset, Ints, Mask, Schema
from scarce.errors import DataError
from scarce.registry import Plugin


@dataclass(frozen=True, eq=False)
class Material:
    """Pictures, or rows of a table, and their labels in memory; see :meth:`of_table`.

    Args:
        images: N uint8 pictures (H, W) or (H, W, 3) RGB; of a table, N rows (F,) of numbers.
        labels: (N,) class codes.
        classes: class names.
        split: (N,) ``train``, ``val`` or ``test``; None = no splits.
        columns: name to (N,) texts that stand beside each picture in the table; "" = missing.
        names: of the F features of a table; empty = pictures.
    """

    images: Sequence[Array]
    labels: Ints
    classes: tuple[str, ...]
    split: Array | None = None
    columns: Mapping[str, Array] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    @classmethod
    def of_table(
        cls, features: Mapping[str, Array], labels: Ints, classes: tuple[str, ...], split: Array | None = None
    ) -> Material:
        """Return rows of a table.

        Args:
            features: name to (N,) numbers; NaN = missing.
            labels: (N,) class codes.
            classes: class names.
            split: (N,) ``train``, ``val`` or ``test``; None = no splits.

        Raises:
            DataError: the columns are no numbers or differ in length, or labels do not fit.
        """
        try:
            rows = np.stack([np.asarray(values, np.float64) for values in features.values()], axis=1)
        except ValueError as error:
            raise DataError("faults", f"the features are no columns of numbers of one length ({error})") from None
        return cls(list(rows), labels, classes, split, names=tuple(features))

    def refuse_tables(self, who: str) -> None:
        """Refuse rows of a table where a fault is one of pictures.

        Raises:
            DataError: this is a table.
        """
        if self.names:
            raise DataError(f"faults.{who}", "it spoils pictures, and these are rows of a table", do="choose another")

    def with_values(self, name: str, values: Array) -> Material:
        """Return a table with one feature replaced."""
        at = self.names.index(name)
        rows = [row.copy() for row in self.images]
        for row, value in zip(rows, values, strict=True):
            row[at] = value
        return replace(self, images=rows)

    def __post_init__(self) -> None:
        """Refuse columns of different length and labels that name no class."""
        n, strange = (
            len(self.images),
            [name for name, values in self.columns.items() if len(values) != len(self.images)],
        )
        if strange:
            raise DataError("faults", f"{n} images and {len(self.columns[strange[0]])} values of {strange[0]}")
        if len(self.labels) != n or (self.split is not None and len(self.split) != n):
            raise DataError("faults", f"{n} images, {len(self.labels)} labels and splits do not fit together")
        if n and (self.labels.min() < 0 or self.labels.max() >= len(self.classes)):
            raise DataError("faults", f"labels reach to {self.labels.max()}", f"there are {len(self.classes)} classes")

    def added(self, images: Sequence[Array], labels: Ints, split: Array | None) -> Material:
        """Return the material with pictures added at the end."""
        both = None if self.split is None or split is None else np.concatenate([self.split, split])
        blank = np.full(len(images), "", object)
        columns = {name: np.concatenate([values, blank]) for name, values in self.columns.items()}
        both_labels = np.concatenate([self.labels, labels])
        return replace(self, images=[*self.images, *images], labels=both_labels, split=both, columns=columns)

    def with_columns(self, columns: Mapping[str, Array]) -> Material:
        """Return the material with columns added to the table."""
        return replace(self, columns={**self.columns, **columns})

    def write(self, folder: Path | str, truth: Truth | None = None) -> Path:
        """Write PNG files and ``index.csv`` (path, label, split and the columns); returns the folder.

        Of a table, ``table.csv`` is written (features, columns, label, split), and the truth as ``truth.csv`` beside
        it, since a model would take its columns for features.

        Args:
            folder: where to.
            truth: also write its columns, see :meth:`Truth.columns`; read back they are ``meta.true_label`` and so on.
        """
        import csv

        import cv2

        if self.names:
            return self._write_table(Path(folder), truth)
        base = Path(folder)
        more: dict[str, Any] = {**self.columns, **({} if truth is None else truth.columns(self.classes))}
        lines: list[list[str]] = [["path", "label", "split", *more]]
        for row, image in enumerate(self.images):
            name = self.classes[int(self.labels[row])]
            place = base / "images" / f"{row:06d}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            pixels = image if image.ndim == 2 else np.ascontiguousarray(image[:, :, ::-1])
            place.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
            split = "" if self.split is None else str(self.split[row])
            cells = [str(values[row]) for values in more.values()]
            lines.append([place.relative_to(base).as_posix(), name, split, *cells])
        with (base / "index.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
        return base

    def _write_table(self, base: Path, truth: Truth | None) -> Path:
        import csv

        base.mkdir(parents=True, exist_ok=True)
        heads = [*self.names, *self.columns, "label", *(["split"] if self.split is not None else [])]
        lines: list[list[str]] = []
        for row, values in enumerate(self.images):
            cells = ["" if np.isnan(value) else f"{value:.12g}" for value in values]
            cells += [str(column[row]) for column in self.columns.values()]
            cells.append(self.classes[int(self.labels[row])])
            lines.append([*cells, *([] if self.split is None else [str(self.split[row])])])
        tables: dict[str, list[list[str]]] = {"table.csv": [heads, *lines]}
        if truth is not None:
            told = truth.columns(self.classes)
            tables["truth.csv"] = [list(told), *map(list, zip(*told.values(), strict=True))]
        for name, body in tables.items():
            with (base / name).open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(body)
        return base

    def dataset(self) -> Dataset:
        """Return a dataset of the labels and splits; ids keep the order, pixels and features stay in memory."""
        n = len(self.images)
        values: dict[str, Any] = {
            "id": [f"{row:08d}" for row in range(n)],
            "uri": [f"table.csv#{row}:!label" if self.names else f"images/{row:06d}.png" for row in range(n)],
            "label": [self.classes[int(code)] for code in self.labels],
            "label_source": ["given"] * n,
        }
        if self.split is not None:
            values["split"] = [str(name) for name in self.split]
        for name, cells in self.columns.items():
            values[f"meta.{name}"] = [str(cell) or None for cell in cells]
        kind = "tabular" if self.names else "image"
        return Dataset.from_columns(Schema(modality=kind, classes=self.classes), values)


@dataclass(frozen=True, eq=False)
class Truth:
    """What was planted.

    Attributes:
        faulty: (N,) whether the row of the faulty material was changed or added.
        source: (N,) row of the original that it was made from; its own row where nothing was done, -1 = none.
        labels: (N,) the right labels.
        how: (N,) name of what was done; "" = nothing.
    """

    faulty: Mask
    source: Ints
    labels: Ints
    how: Array

    @classmethod
    def clean(cls, material: Material) -> Truth:
        """Return the truth about material without faults."""
        n = len(material.images)
        return cls(np.zeros(n, bool), np.arange(n), np.asarray(material.labels).copy(), np.full(n, "", object))

    def columns(self, classes: Sequence[str]) -> dict[str, list[str]]:
        """Return the truth as columns for a manifest.

        Args:
            classes: class names.

        Returns:
            ``fault`` (what was done; empty = nothing), ``true_label`` and ``made_from`` (file name without ending of
            the original, as :meth:`Material.write` numbers them; empty = its own).
        """
        rows = range(len(self.source))
        return {
            "fault": [str(how) for how in self.how],
            "true_label": [classes[int(code)] for code in self.labels],
            "made_from": ["" if self.source[row] in {row, -1} else f"{int(self.source[row]):06d}" for row in rows],
        }

    def added(self, source: Ints, labels: Ints, how: Sequence[str]) -> Truth:
        """Return the truth with faulty rows added at the end."""
        return Truth(
            np.r_[self.faulty, np.ones(len(source), bool)], np.r_[self.source, source], np.r_[self.labels, labels],
            np.r_[self.how, np.array(list(how), object)],
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AbstractFault(Plugin, ABC):
    """Base of every fault: it spoils a share of the material and says exactly what it did."""

    rate: float = 0.05

    @abstractmethod
    def plant(self, material: Material, *, seed: int = 0) -> tuple[Material, Truth]:
        """Return the faulty material and the truth.

        Args:
            material: N pictures and labels; it is not changed.
            seed: draws the rows and what happens to them.
        """

    def changed(
        self, material: Material, rows: Ints, change: Callable[[Array], Array], how: str
    ) -> tuple[Material, Truth]:
        """Return the material with ``change`` made to the pictures of some rows, and the truth named ``how``."""
        material.refuse_tables(self.plugin_name())
        images, truth = list(material.images), Truth.clean(material)
        for row in rows:
            images[row] = change(images[row])
        truth.faulty[rows], truth.how[rows] = True, how
        return replace(material, images=images), truth

    def drawn(self, rows: Ints, rng: np.random.Generator) -> Ints:
        """Return the sorted share ``rate`` of the rows, at least one.

        Raises:
            DataError: the rate is not in (0, 1], or there are no rows.
        """
        if not 0 < self.rate <= 1 or not len(rows):
            raise DataError(
                f"faults.{self.plugin_name()}", f"rate = {self.rate} of {len(rows)} rows", do="use a rate in (0, 1]"
            )
        return np.sort(rng.choice(rows, max(1, round(self.rate * len(rows))), replace=False))
