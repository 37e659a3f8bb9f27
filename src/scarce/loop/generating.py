"""Samples of a model into a folder, from a project or from data that lies anywhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scarce.errors import ConfigError

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.loop.making import Order
    from scarce.synthesize import Made
    from scarce.synthesize.generate import Generated

FILES = {
    "images/train": "pictures", "masks": "pixels of the defects", "instances_train.json": "COCO",
    "data.yaml": "YOLO", "labels": "YOLO", "classes": "class folders", "texts.csv": "texts with labels",
    "journal.jsonl": "every sample with prompt, seed, model and verdict", "rejected": "rejected pictures",
}  # fmt: skip


def generate_from(path: Path, order: Order, out: Path) -> Made:
    """Generate samples with a model for a project's newest version, or for a folder or manifest; neither is changed.

    Without a split all samples may be shown to the model, with one only those of train.

    Raises:
        ConfigError: a setting is wrong, or no class is named and the data does not say which.
        DataError, ReadError, UnknownNameError: see ``scarce.synthesize.generate.run``.
    """
    from scarce import io
    from scarce.loop.making import settings_of
    from scarce.project import Project, is_project
    from scarce.registry import canonical, load
    from scarce.synthesize import generate

    if order.per_original is not None:
        raise ConfigError("synthesize", "--per-original counts uses of one sound picture by drawn and pasted defects",
                          do="leave it out: every order of a generator draws its photo anew")  # fmt: skip
    kind = load("synthesize.generate", order.kind, generate.AbstractGenerator)  # type: ignore[type-abstract]
    params: dict[str, Any] = {}
    most = generate.Limits().most_rejected
    if is_project(path):
        with Project.open(path) as project:
            ds, section = project.dataset(), project.config.synthesize.generate
        params |= dict(section.plugins.get(canonical(order.kind), {}))
        most = section.most_rejected
    else:
        ds = io.read(path)
    if order.normal:
        ds = io.with_normal(ds, order.normal)
    if "split" not in ds:
        ds = ds.with_columns({"split": ["train"] * len(ds)})
    label = order.label or _only_class(ds)
    plugin = kind.from_params(params | settings_of(order.settings))
    limits = generate.Limits(most_rejected=most, seconds=None if order.minutes is None else 60 * order.minutes)
    made = generate.run(ds, plugin, counts={label: order.n}, out=out, seed=order.seed, limits=limits)
    return _told(made, plugin, label, order.n)


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
