"""Samples of a model into a folder, from a project or from data that lies anywhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.errors import ConfigError

if TYPE_CHECKING:
    from scarce.config import Config
    from scarce.dataset import Dataset
    from scarce.loop.making import Order
    from scarce.synthesize import Made
    from scarce.synthesize.generate import Generated
    from scarce.synthesize.screen import Gate

FILES = {
    "images/train": "pictures", "masks": "pixels of the defects", "instances_train.json": "COCO",
    "data.yaml": "YOLO", "labels": "YOLO", "classes": "class folders", "texts.csv": "texts with labels",
    "journal.jsonl": "every sample with prompt, seed, model and verdict", "rejected": "rejected pictures",
}  # fmt: skip


class Generating:
    """Samples of a model. Without a split all samples may be shown to it, with one only those of train.

    Args:
        ds: the data.
        config: settings of the project, or defaults.
        order: what is to be made.

    Raises:
        ConfigError: a setting is wrong, or no class is named and the data does not say which.
    """

    def __init__(self, ds: Dataset, config: Config, order: Order) -> None:
        from scarce.loop.making import settings_of
        from scarce.registry import canonical, load
        from scarce.synthesize import generate

        if order.per_original is not None:
            raise ConfigError("synthesize", "--per-original counts uses of one sound picture by drawn and pasted ones",
                              do="leave it out: every order of a generator draws its photo anew")  # fmt: skip
        kind = load("synthesize.generate", order.kind, generate.AbstractGenerator)  # type: ignore[type-abstract]
        section = config.synthesize.generate
        given = dict(section.plugins.get(canonical(order.kind), {}))
        self.order, self.most_rejected = order, section.most_rejected
        self.ds = ds if "split" in ds else ds.with_columns({"split": ["train"] * len(ds)})
        self.label = order.label or _only_class(ds)
        self.plugin = kind.from_params(given | settings_of(order.settings))
        self.grown: Dataset | None = None

    def make(self, n: int, out: Path, door: Gate | None, *, planned: bool) -> Made:  # noqa: ARG002  one shape
        """Generate n samples."""
        from scarce.synthesize import generate

        minutes = self.order.minutes
        limits = generate.Limits(
            most_rejected=self.most_rejected, seconds=None if minutes is None else 60 * minutes, gate=door
        )
        found = generate.run(self.ds, self.plugin, counts={self.label: n}, out=out, seed=self.order.seed, limits=limits)
        self.grown = found.dataset
        return _told(found, self.plugin, self.label, n)

    def lines(self, made: Made) -> list[dict[str, Any]]:
        """Return every sample in the shape of the gallery."""
        from scarce.synthesize.generate import read_samples

        return [
            {"name": row.get("file") or row.get("text", "")[:60] or "nothing", "class": row["label"],
             "reason": row["why"], "file": row.get("file"), "text": row.get("text", "")}
            for row in read_samples(made.out, "synthesize")
        ]  # fmt: skip

    def added(self, made: Made) -> Dataset:  # noqa: ARG002  one shape
        """Return the data with a row for each accepted sample."""
        return self.ds if self.grown is None else self.grown


def _only_class(ds: Dataset) -> str:
    """Return the one class that samples can be made of without asking.

    Raises:
        ConfigError: there are several, or none.
    """
    faulty = [ds.schema.classes[code] for code in ds.schema.defect_codes]
    if len(faulty) != 1:
        raise ConfigError("synthesize", "a generator must be told the class of its samples",
                          f"classes are {', '.join(ds.schema.classes[:12])}", "name it with --class")  # fmt: skip
    return faulty[0]


def _told(made: Generated, plugin: Any, label: str, wanted: int) -> Made:
    """Return what was generated in the shape that every kind of synthesis reports in."""
    from scarce.synthesize import Made

    rows = made.dataset.rows_of(made.ids)
    uses = Counter(name for family in made.dataset.table["parents"].take(rows).to_pylist() for name in family or ())
    if plugin.per_combination:
        wanted = plugin.per_combination * len(plugin.combinations(label))
    ended = "enough" if not made.stopped else "fault" if made.failed else "limit"
    notes = [made.stopped] if made.stopped else []
    if made.spent:
        notes.append(", ".join(f"{value:g} {name}" for name, value in made.spent.items()) + " spent in all")
    return Made(
        out=made.folder, kind=plugin.plugin_name(), label=label, wanted=wanted, accepted=made.accepted[label],
        rejected=made.rejected[label], ended=ended, originals=len(uses), fitted=0,
        most_per_original=max(uses.values(), default=0),
        files={name: what for name, what in FILES.items() if (made.folder / name).exists()}, notes=tuple(notes),
    )  # fmt: skip
