"""The gate of ``scarce synthesize``: what made samples must pass, how many are wanted, and the page about them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Dataset, Floats
from scarce.lineage import key64

if TYPE_CHECKING:
    from scarce.config import Config
    from scarce.project import Project
    from scarce.report import Exhibit
    from scarce.synthesize.screen import Gate, Screened

MOST_REAL: Final = 500
"""Real training samples of a class that screens are fitted on."""
SHOWN: Final = 48


@dataclass(frozen=True)
class Target:
    """How many samples a class is to have.

    Attributes:
        real: training samples.
        synthetic: those that are there already.
        target: what rebalancing asks for, real and synthetic together.
        share: synthetic share of the class when the target is reached.
        copies: most samples for one real one; the target keeps to it.
    """

    real: int
    synthetic: int
    target: int
    share: float
    copies: int

    @property
    def wanted(self) -> int:
        """Return how many are to be made."""
        return max(0, self.target - self.real - self.synthetic)


def targets(ds: Dataset, config: Config) -> dict[str, Target]:
    """Return class to target, from the ratio or count of ``[synthesize]``; sound classes stay as they are."""
    from scarce.rebalance.target import target_counts

    given = config.synthesize
    usable = ds["keep"].astype(bool) & (ds["label"] >= 0)
    if "split" in ds:
        usable &= ds["split"] == "train"
    real, made = (
        np.bincount(ds["label"][usable & (ds["origin"] == origin)], minlength=len(ds.schema.classes))
        for origin in ("real", "synthetic")
    )
    least = given.target_count
    sizes = {code: max(int(n), least) for code, n in enumerate(real) if n} if least else None
    wanted = target_counts(real, ratio=given.ratio, cap=given.copies, target_count=sizes)
    out = {}
    for code, name in enumerate(ds.schema.classes):
        goal = int(real[code]) if name in ds.schema.normal_classes else int(wanted[code])
        total = max(goal, int(real[code] + made[code]))
        out[name] = Target(
            int(real[code]), int(made[code]), goal, 1 - int(real[code]) / total if total else 0.0, given.copies
        )
    return out


def share_of(ds: Dataset, label: str, more: int) -> float:
    """Return the synthetic share of a class's training samples with some more synthetic ones.

    Where no picture is labeled with the class, those with one of its boxes count.
    """
    from scarce.synthesize import with_boxes_of

    code = ds.schema.classes.index(label) if label in ds.schema.classes else -2
    mine = ds["label"] == code
    if not mine.any():
        mine = np.isin(np.arange(len(ds)), with_boxes_of(ds, label))
    mine &= ds["keep"].astype(bool)
    if "split" in ds and any(name is not None for name in ds["split"]):
        mine &= ds["split"] == "train"
    real = int((mine & (ds["origin"] == "real")).sum())
    made = int((mine & (ds["origin"] == "synthetic")).sum()) + more
    return made / (made + real) if made else 0.0


def share_warning(label: str, share: float, config: Config) -> tuple[str, ...]:
    """Return a sentence where the share is over ``most_share``."""
    most = config.synthesize.screen.most_share
    if share <= most:
        return ()
    return (f"{label}: {share:.0%} of its training samples would be synthetic, more than {most:.0%}",)


def gate_for(
    ds: Dataset, label: str, config: Config, *, project: Project | None = None, seed: int = 0,
    workers: int | None = None,
) -> Gate:  # fmt: skip
    """Return the gate: screens of ``[synthesize.screen]`` on the real training samples, at most 500 of each class.

    Where nothing is labelled, all pictures count as sound.

    Raises:
        UnknownNameError, ConfigError: a screen or a setting is unknown.
        DataError: no real training sample can be encoded.
    """
    from scarce.synthesize import screen

    rows = ds["keep"].astype(bool) & (ds["origin"] == "real")
    if "split" in ds and any(name is not None for name in ds["split"]):
        rows &= ds["split"] == "train"
    part = ds.take(np.flatnonzero(rows))
    if not (part["label"] >= 0).any():
        schema = replace(part.schema, classes=("sound", *part.schema.classes), normal_classes=("sound",))
        part = replace(part, schema=schema).with_columns({"label": ["sound"] * len(part)})
    column, values, fitted = _encoded(part, project, seed, workers)
    part = replace(fitted, table=part.table, schema=part.schema, wide={column: values})
    section = config.synthesize.screen
    return screen.Gate(
        part.fold(part.ids, ()), label=label, embedding=column, only=section.only or None, settings=section.plugins,
        seed=seed, workers=workers,
    )  # fmt: skip


def _encoded(ds: Dataset, project: Project | None, seed: int, workers: int | None) -> tuple[str, Floats, Dataset]:
    """Return the column, (N, D) features, NaN for samples that are not needed, and the data that was encoded."""
    from scarce import encode, modality
    from scarce.loop.measure import user_cache, with_features

    labels = ds["label"]
    order = np.array([key64(f"{seed}:{name}") for name in ds.ids], np.uint64)
    picked: list[int] = []
    for code in np.unique(labels[labels >= 0]):
        own = np.flatnonzero(labels == code)
        picked += own[np.argsort(order[own], kind="stable")[:MOST_REAL]].tolist()
    rows = np.sort(np.array(picked, np.int64))
    part = replace(ds.take(rows), wide={})
    if project is None:
        held = user_cache()
        if held is not None:
            part = modality.scan(part, workers=workers, cache=held / "scan")
        part = encode.run(part, workers=workers, seed=seed, cache=held and held / "features")
    else:
        part = with_features(project, part, workers=workers, seed=seed)
    column = next(name for name in part.wide if name.startswith("embedding."))
    values = np.full((len(ds), part.wide[column].shape[1]), np.nan, np.float32)
    values[rows] = part.wide[column]
    return column, values, part


def write_page(ds: Dataset, out: Path, found: Screened, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write ``screen.json`` and ``screen.html`` into the folder: what was accepted, what was refused and why.

    Args:
        ds: the data that the samples were made from.
        out: the folder.
        found: what was measured on those that entered.
        lines: of ``tries.jsonl`` or ``journal.jsonl``, in one shape: name, class, reason, and file, recipe or text.

    Returns:
        What ``screen.json`` holds, but for the samples.
    """
    from scarce.report.screened import screened_page

    accepted, refused = ([line for line in lines if bool(line["reason"]) is bad] for bad in (False, True))
    body = found.to_json() | {
        "accepted": len(accepted), "refused": len(refused), "by_screen": _by_screen(refused),
        "samples": [
            {"name": line["name"], "class": line["class"], "accepted": not line["reason"], "reason": line["reason"]}
            for line in lines
        ],
    }  # fmt: skip
    (out / "screen.json").write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8")
    shown = [(_exhibit(ds, out, line), line["reason"]) for line in _spread(refused)]
    page = screened_page(body, [_exhibit(ds, out, line) for line in _spread(accepted)], shown)
    (out / "screen.html").write_text(page, "utf-8")
    return {key: value for key, value in body.items() if key != "samples"}


def _by_screen(refused: list[Mapping[str, Any]]) -> dict[str, int]:
    first = [line["reason"].partition(":")[0] for line in refused]
    return {name: first.count(name) for name in dict.fromkeys(first)}


def _spread(lines: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return at most ``SHOWN`` lines, one of each reason in turn."""
    seen: dict[str, int] = {}
    ranked = []
    for place, line in enumerate(lines):
        kind = f"{line['class']}|{line['reason'].partition(':')[0]}"
        seen[kind] = seen.get(kind, 0) + 1
        ranked.append((seen[kind], place))
    return [lines[place] for _, place in sorted(ranked)[:SHOWN]]


def _exhibit(ds: Dataset, out: Path, line: Mapping[str, Any]) -> Exhibit:
    """Return what is shown of a sample; refused drawn ones are drawn once more from their recipes."""
    import cv2

    from scarce import modality
    from scarce.errors import ScarceError
    from scarce.recipe import mask_opener, render_full
    from scarce.report import Exhibit

    picture = None
    try:
        if line.get("file"):
            picture = cv2.imdecode(np.fromfile(out / line["file"], np.uint8), cv2.IMREAD_UNCHANGED)
        elif line.get("recipe"):
            drawn = render_full(
                line["recipe"], lambda name: np.asarray(modality.open_samples(ds, ds.rows_of([name]))[0]),
                mask_opener(ds),
            ).image  # fmt: skip
            picture = drawn if drawn.ndim == 2 else cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)
    except (ScarceError, OSError, cv2.error):
        picture = None
    data = b""
    if picture is not None:
        scale = 160 / max(picture.shape[:2])
        small = picture if scale >= 1 else cv2.resize(picture, None, None, scale, scale, cv2.INTER_AREA)
        data = cv2.imencode(".png", small)[1].tobytes()
    return Exhibit(
        name=line["name"], data=data, text=str(line.get("text", ""))[:400], label=line["class"], origin="synthetic",
        split="train",
    )  # fmt: skip
