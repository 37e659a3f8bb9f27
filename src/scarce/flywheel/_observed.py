"""What a look compares, read from a project: held-out samples and logged predictions, as one model saw them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from scarce.dataset import Array, Dataset, Floats, Ints, Schema
from scarce.errors import DataError, ScarceError
from scarce.flywheel._answering import verdict_of
from scarce.flywheel._chance import WHO
from scarce.flywheel._look import FEWEST, MOST_LOOKED
from scarce.flywheel._outcomes import audited_samples
from scarce.flywheel._seen import Confirmed, Seen
from scarce.flywheel.feedback import latest
from scarce.flywheel.pool import folder_of
from scarce.flywheel.promote import CHAMPION, PRODUCTION
from scarce.lineage import digest
from scarce.modality import raw

if TYPE_CHECKING:
    from scarce.project import Project
    from scarce.train.model import Model
    from scarce.train.predict import Prediction

Row = dict[str, Any]
CONFIRMED_DAYS: Final = 90.0
"""How old confirmed samples may be that calibration is judged by: there are few of them in a week."""
ENCODED: Final = 2000
"""Kept samples of a look that are opened and encoded, at most; of more, so many are drawn."""
PROPERTIES: Final[Mapping[str, Mapping[str, str]]] = {
    "image": {"mean": "brightness", "std": "contrast", "sharpness": "sharpness", "entropy": "detail",
              "edge_density": "edges"},
    "audio": {"rms": "loudness", "silence": "silence", "seconds": "duration"},
    "text": {"length": "length", "digits": "digits", "capitals": "capitals"},
}  # fmt: skip
"""Measurements of the scan that are compared, and their names for people."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Observed:
    """One side of a look.

    Attributes:
        seen: the samples.
        rows: how many were there before the same content was counted once.
        notes: sentences for people.
    """

    seen: Seen
    rows: int = 0
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Window:
    """From when to when predictions count.

    Attributes:
        since: the oldest.
        until: now.
        together_minutes: samples of one source within so many minutes are one unit; 0 = each stands alone.
    """

    since: datetime
    until: datetime
    together_minutes: float = 0.0


def predictions(project: Project, champion: str, since: datetime | None) -> list[Row]:
    """Return what the champion answered, oldest first; shadow answers and those of a challenger are left out."""
    asked = None if since is None else since.astimezone(UTC).isoformat(timespec="milliseconds")
    rows = project.state.predictions(since=asked)
    return [row for row in rows if row["served_as"] == CHAMPION and row["model"] == champion]


def production(project: Project, model: Model, champion: str, window: Window, *, seed: int = 0) -> Observed:
    """Return what the champion met in a window, joined with the samples that were kept."""
    rows = predictions(project, champion, window.since)
    return _of_rows(project, model, rows, window, seed=seed)


def earlier(project: Project, model: Model, champion: str, window: Window, *, seed: int = 0) -> Observed:
    """Return the first answers of the champion before a window, as a reference."""
    rows = [row for row in predictions(project, champion, None) if _time(row) <= window.since][:MOST_LOOKED]
    if not rows:
        raise DataError(WHO, f"{champion} answered nothing before {window.since:%Y-%m-%d}",
                        do="compare with the held-out samples until there is more")  # fmt: skip
    return _of_rows(project, model, rows, window, seed=seed)


def _of_rows(project: Project, model: Model, rows: list[Row], window: Window, *, seed: int) -> Observed:
    notes = []
    ahead = [row for row in rows if _time(row) > window.until + timedelta(minutes=1)]
    if ahead:
        far = max(_time(row) for row in ahead) - window.until
        notes.append(f"{len(ahead):,} predictions have a time up to {far.total_seconds() / 3600:.1f} hours after now: "
                     "the clocks of this machine and the server disagree; they are counted as of now.")  # fmt: skip
    once = list({row["sample"]: row for row in rows}.values())
    if len(once) < len(rows):
        notes.append(f"{len(rows) - len(once):,} predictions are of content that came before; each counts once.")
    seen = Seen(
        answers=np.array([row["label"] or "" for row in once], object).astype(str), sure=_numbers(once, "probability"),
        verdicts=np.array([row["verdict"] or "" for row in once], object).astype(str),
        foreign=_numbers(once, "unknown_score"), ids=np.array([row["sample"] for row in once], object),
        groups=_units(once, window.together_minutes),
    )  # fmt: skip
    if not once:
        return Observed(seen=seen, rows=len(rows), notes=tuple(notes))
    kept = _kept(project, model, once, seed)
    if kept is not None:
        seen, more = _with_content(project, seen, kept)
        notes += more
    return Observed(seen=seen, rows=len(rows), notes=tuple(notes))


def _units(rows: Sequence[Row], minutes: float) -> Array | None:
    """Return the source and the stretch of time that each sample belongs to; None = each stands alone."""
    if minutes <= 0:
        return None
    return np.array([f"{row['source'] or ''}|{int(_time(row).timestamp() // (60 * minutes))}" for row in rows], object)


def _kept(project: Project, model: Model, rows: Sequence[Row], seed: int) -> tuple[Dataset, Ints] | None:
    """Return kept samples as a dataset, and the row that each belongs to; None where none was kept."""
    folder = folder_of(project)
    there = {item.name for item in folder.iterdir()} if folder.is_dir() else set()
    places = np.array([place for place, row in enumerate(rows) if row["sample"] in there], np.int64)
    if len(places) > ENCODED:
        rng = np.random.default_rng([seed, 0x656E])
        places = np.sort(rng.choice(places, ENCODED, replace=False))
    if not len(places):
        return None
    names = [rows[place]["sample"] for place in places]
    schema = Schema(modality=str(model.card.get("modality", "image")), classes=model.classes)
    ds = Dataset.from_columns(
        schema, {"id": names, "uri": names, "source": [PRODUCTION] * len(names)}, sources={PRODUCTION: str(folder)}
    )  # fmt: skip
    row_of = dict(zip(names, places.tolist(), strict=True))
    return ds, np.array([row_of[name] for name in ds.ids.tolist()], np.int64)


def _with_content(project: Project, seen: Seen, kept: tuple[Dataset, Ints]) -> tuple[Seen, list[str]]:
    """Return the side with features and properties of the samples that can be opened."""
    from scarce import modality
    from scarce.loop.measure import with_features

    ds, places = kept
    ds = modality.scan(ds, cache=project.features / "scan")
    good = ds["keep"].astype(bool)
    notes = [f"{int((~good).sum()):,} kept samples cannot be opened."] if not good.all() else []
    ds, places = ds.take(good), places[good]
    if not len(ds):
        return seen, notes
    ds = with_features(project, ds)
    features = np.asarray(ds[_embedding(ds)], np.float32)
    whole = np.full((len(seen), features.shape[1]), np.nan, np.float32)
    whole[places] = features
    properties = {}
    for name, values in _properties(ds).items():
        properties[name] = np.full(len(seen), np.nan)
        properties[name][places] = values
    return replace(seen, features=whole, properties=properties), notes


def _embedding(ds: Dataset) -> str:
    return next(name for name in reversed(list(ds.wide)) if name.startswith("embedding."))


def _properties(ds: Dataset) -> dict[str, Floats]:
    found: dict[str, Floats] = {
        said: np.asarray(ds.wide[f"scan.{name}"], np.float64)
        for name, said in PROPERTIES.get(ds.schema.modality, {}).items() if f"scan.{name}" in ds.wide
    }  # fmt: skip
    if "scan.width" in ds.wide and "scan.height" in ds.wide:
        width, height = (np.asarray(ds.wide[f"scan.{name}"], np.float64) for name in ("width", "height"))
        found["picture size"] = np.sqrt(width * height)
        found["aspect ratio"] = width / np.maximum(height, 1)
    if not np.all(ds.wide.get("scan.gray", True)):
        gray = np.asarray(ds.wide["scan.mean"], np.float64)
        found |= {color: np.asarray(ds.wide[f"scan.{color}"], np.float64) - gray for color in ("red", "blue")}
    return found


def _numbers(rows: Sequence[Mapping[str, Any]], name: str) -> Floats:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64)


def _time(row: Mapping[str, Any]) -> datetime:
    at = datetime.fromisoformat(str(row["at"]))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def held_out(project: Project, model: Model, *, seed: int = 0) -> tuple[Observed, Floats]:
    """Return held-out samples of the data that a model was trained on, and how much surer than right it is of them.

    The test samples; where there are too few, those of val with them. Training samples would not do: a model is surer
    of what it has learned, and every look would raise an alarm.

    Raises:
        DataError: no sample was held out, or the data cannot be answered over HTTP.
    """
    version, notes = (model.card.get("data") or {}).get("version"), []
    try:
        ds = project.dataset(str(version) if version else None)
    except ScarceError:
        ds = project.dataset()
        notes.append(f"Version {version}, which the champion was trained on, is gone: {project.head} stands in for it.")
    real = ds["keep"].astype(bool) & (ds["origin"] == "real")
    own = real & (ds["split"] == "test")
    if own.sum() < FEWEST and (real & (ds["split"] == "val")).any():
        own = real & np.isin(ds["split"], ("test", "val"))
        notes.append(
            "Few test samples were held out: those of val, which thresholds were chosen on, stand beside them."
        )
    rows = np.flatnonzero(own)
    if not len(rows):
        raise DataError(WHO, f"{version or project.head} holds no sample that was held out of training",
                        do="scarce split, train, promote; or --against production")  # fmt: skip
    if len(rows) > ENCODED:
        rows = np.sort(np.random.default_rng([seed, 0x686F]).choice(rows, ENCODED, replace=False))
    part = ds.take(rows)
    found = _answered(project, model, part)
    seen = Seen(
        answers=np.array([one.label or "" for one in found], object).astype(str),
        sure=np.array([np.nan if one.probability is None else one.probability for one in found]),
        verdicts=np.array([verdict_of(one) for one in found], object).astype(str),
        foreign=np.array([np.nan if one.unknown_score is None else one.unknown_score for one in found]),
        groups=_groups(part), ids=part.ids,
    )  # fmt: skip
    seen, more = _with_content(project, seen, (part, np.arange(len(part))))
    return Observed(seen=seen, rows=len(part), notes=(*notes, *more)), _surplus(part, found)


def _groups(ds: Dataset) -> Array:
    from scarce.folds import groups_of

    return np.asarray(groups_of(ds)).astype(str)


def _answered(project: Project, model: Model, ds: Dataset) -> list[Prediction]:
    """Return what the model says about samples, asked with their bytes as production asks; remembered by model."""
    from scarce.train.predict import Prediction, predict_contents

    key = digest(str(model.card.get("weights")), *ds.table["content_hash"].to_pylist())
    place = project.features / "answers" / f"{key}.json"
    try:
        known = json.loads(place.read_text(encoding="utf-8"))
        return [Prediction(**{**row, "candidates": tuple(row["candidates"])}) for row in known]
    except (OSError, ValueError, TypeError, KeyError):
        pass
    found = predict_contents(model, [_bytes(item) for item in raw.fetch(ds, np.arange(len(ds)))])
    text = json.dumps([asdict(replace(row, path="")) for row in found])
    with suppress(OSError):  # without room it is asked again next time
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(place)
    return found


def _bytes(item: Any) -> bytes:
    if isinstance(item, np.ndarray):
        return _png(item)
    return item.encode() if isinstance(item, str) else bytes(item)


def _png(pixels: Array) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes())


def _surplus(ds: Dataset, found: Sequence[Prediction]) -> Floats:
    """Return how much surer than right the answers are, where people said what is true; one of each group."""
    from scarce.ballot import vouched

    names = np.array([*ds.schema.classes, ""], object)[ds["label"]]
    sure = np.array([_probability(one.natural_probability, one.probability) for one in found])
    right = np.array([one.label for one in found], object) == names
    good = vouched(ds) & np.isfinite(sure)
    first = np.unique(_groups(ds)[good], return_index=True)[1]
    return np.asarray((sure - right)[good][first], np.float64)


def _probability(natural: float | None, own: float | None) -> float:
    return float("nan") if own is None else float(own if natural is None else natural)


def confirmed(project: Project, champion: str, reference: Floats, until: datetime) -> Confirmed | None:
    """Return production samples that were drawn at random and whose truth people said; None where there is none.

    Only those with a stored inclusion probability count: what was asked because a model doubted says nothing about how
    often it is right.
    """
    since = until - timedelta(days=CONFIRMED_DAYS)
    rows = {row["request"]: row for row in predictions(project, champion, since)}
    by_sample = {row["sample"]: row for row in rows.values()}
    truth: dict[str, tuple[str, float]] = {}
    for request, said in latest(project.state.feedback()).items():
        share = said["inclusion"]
        if request in rows and share is not None and 0 < share <= 1:
            truth[rows[request]["sample"]] = (str(said["label"]), float(share))
    ds = project.dataset() if project.head else None
    truth |= {sample: told for sample, told in audited_samples(project, ds).items() if sample in by_sample}
    if not truth:
        return None
    samples = list(truth)
    own = [by_sample[sample] for sample in samples]
    sure = np.array([_probability((row["body"] or {}).get("natural_probability"), row["probability"]) for row in own])
    right = np.array([row["label"] == truth[row["sample"]][0] for row in own])
    weights = np.array([1 / truth[sample][1] for sample in samples])
    return Confirmed(reference=reference, surplus=sure - right, weights=weights)
