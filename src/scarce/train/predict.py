"""Predictions for files and folders, for people and machines: class, probability, accept or reject."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TextIO

import numpy as np
import pyarrow.compute as pc

from scarce.columns import sample_name, split_uri
from scarce.dataset import Dataset, Mask, Schema
from scarce.errors import DataError, ReadError, ScarceError
from scarce.lineage import digest
from scarce.modality.raw import BAD_LINK, MISSING
from scarce.modality.table import SUFFIXES as TABLES
from scarce.train._said import Said, candidates, said, verdict
from scarce.train.model import Model

SUFFIXES: Final = {
    "image": frozenset(
        ".jpg .jpeg .jpe .jfif .png .webp .avif .bmp .dib .tif .tiff .gif .ppm .pgm .pbm .pnm .jp2".split()
    ),
    "audio": frozenset(".wav .flac .ogg".split()),
    "text": frozenset((".txt", ".md")),
}
"""Endings of the files that are one sample each."""
BLOCK: Final = 512
LEFT_OUT: Final = "were left out"
"""So end notes of reading about lines that are no rows."""
DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r")
BAD_NAME: Final = "unreadable: the file name is not valid UTF-8; rename the file"


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the model says about one file.

    Attributes:
        path: as it was given, or found in a folder; bytes that are not UTF-8 as backslash escapes.
        label: likeliest class; None where the file cannot be read.
        probability: of that class, calibrated; of a model that learned all classes as equally common it holds where
            they are.
        natural_probability: the same where classes are as common as in training; None where the two are one.
        verdict: ``unknown`` for what is of none of the classes; else ``accept`` or ``reject`` at the model's operating
            point; ``ambiguous`` in place of accept where a defect remains possible, or only defects do, and without an
            operating point where several classes remain; None where there is no threshold to decide by.
        defect_score: 1 - p(normal); None without a normal class.
        unknown_score: how foreign it is, in units of the model's own detector, higher = more; None without one.
        candidates: the classes that remain possible, the likeliest first.
        probabilities: class to probability.
        error: why there is no answer; None = there is one.
    """

    path: str
    label: str | None = None
    probability: float | None = None
    natural_probability: float | None = None
    verdict: str | None = None
    defect_score: float | None = None
    unknown_score: float | None = None
    candidates: tuple[str, ...] = ()
    probabilities: dict[str, float] | None = None
    error: str | None = None


def predict(
    model: Model, paths: Iterable[str | Path] | str | Path, *, threshold: float | None = None
) -> list[Prediction]:
    """Return one prediction a file, folders searched through, in order; a broken file gives a row with its error.

    Args:
        model: a trained model.
        paths: files and folders of pictures or of texts (.txt, .md: a file is one text), files of sounds; for other
            data what ``scarce run`` takes.
        threshold: rejects where 1 - p(normal) reaches it; None = the model's own.

    Raises:
        DataError: nothing to predict, or data of another kind than the model's.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    chosen = threshold
    if chosen is None and model.card.get("operating_point"):
        chosen = model.card["operating_point"].get("threshold")
    kind = str(model.card.get("modality", "image"))
    if kind not in SUFFIXES or (kind != "image" and not all(_holds_samples(Path(item), kind) for item in given)):
        return [row for item in given for row in _source(model, Path(item), chosen)]
    files = list(_files(given, SUFFIXES[kind]))
    if not files:
        count = f"{len(given)} path{' was' if len(given) == 1 else 's were'} given"
        raise DataError("predict", "there is nothing to predict", count,
                        "give picture files, or folders that hold some")  # fmt: skip
    found: list[Prediction] = []
    for start in range(0, len(files), BLOCK):
        found += _block(model, files[start : start + BLOCK], chosen)
    return found


def predict_contents(model: Model, contents: Sequence[bytes], *, threshold: float | None = None) -> list[Prediction]:
    """Return one prediction for the content of each file, in order, as :func:`predict` does for files.

    Args:
        model: a model of pictures, sounds or texts.
        contents: bytes of picture or sound files, or texts in UTF-8.
        threshold: rejects where 1 - p(normal) reaches it; None = the model's own.
    """
    from scarce.modality import raw

    chosen = threshold
    if chosen is None and model.card.get("operating_point"):
        chosen = model.card["operating_point"].get("threshold")
    with raw.held(contents) as paths:
        return _block(model, paths, chosen) if paths else []


def _source(model: Model, path: Path, threshold: float | None) -> list[Prediction]:
    """Return one prediction a row of a table, a file of texts, series or sounds, read as ``scarce run`` reads it.

    Lines that are no row of the table share one prediction that says so.
    """
    from scarce import io, modality

    wanted = model.card["modality"]
    ds = io.read(path)
    if not set(ds.schema.classes) & set(model.classes) or _lacking(model, ds):
        ds = io.read(path, label="")  # what was taken for the label is a column like others
    if ds.schema.modality != wanted:
        raise DataError("predict", f"the model reads {wanted}", f"{path} holds {ds.schema.modality}",
                        "give data of the kind that it was trained on")  # fmt: skip
    schema = Schema(modality=wanted, classes=model.classes, normal_classes=tuple(model.card.get("normal_classes", ())))
    ds = modality.scan(replace(ds.with_columns({"label": [None] * len(ds)}), schema=schema))
    keep, uris, reasons = ds["keep"].astype(bool), ds.table["uri"].to_pylist(), ds.table["drop_reason"].to_pylist()
    refused = model.refusals(ds)
    why = [refused[row] if keep[row] else reasons[row] or "it cannot be read" for row in range(len(ds))]
    good = np.array([reason is None for reason in why], bool)
    told = Said.nothing(len(ds), len(model.classes))
    if good.any():
        told.put(good, said(model, ds.take(good)))
    order = sorted(range(len(ds)), key=lambda row: (split_uri(uris[row])[0], split_uri(uris[row])[1] or 0, uris[row]))
    rows = _rows(model, uris, told, why, threshold)
    notes = ds.findings.filter(pc.equal(ds.findings["check"], "read"))["why"].to_pylist()
    lost = [Prediction(path=sample_name(path.name), error=note) for note in notes if (note or "").endswith(LEFT_OUT)]
    return [*(rows[row] for row in order), *lost]


def _lacking(model: Model, ds: Dataset) -> bool:
    """Return whether a column that the model reads is not among the features of a table."""
    from scarce.modality.raw import feature_columns

    needed = set(model.card.get("columns") or ())
    return (
        bool(needed)
        and ds.schema.modality == "tabular"
        and not needed <= set(feature_columns(ds, wanted=tuple(needed)))
    )


def _holds_samples(path: Path, kind: str) -> bool:
    """Return whether a path is a file that is one sample, or, of texts, a folder of such files beside no table."""
    if not path.is_dir():
        return path.suffix.lower() in SUFFIXES[kind]
    if kind != "text":
        return False
    endings = {inner.suffix.lower() for inner in path.rglob("*") if inner.is_file() and not inner.name.startswith(".")}
    return bool(endings & SUFFIXES["text"]) and not endings & (set(TABLES) - SUFFIXES["text"])


def _files(paths: Sequence[str | Path], suffixes: frozenset[str]) -> Iterable[Path]:
    """Return the files among files and folders, also those that cannot be opened: dead links, pipes, sockets."""
    for item in paths:
        path = Path(item)
        if path.is_dir():
            yield from sorted(
                inner for inner in path.rglob("*") if inner.suffix.lower() in suffixes and not inner.is_dir()
                and not inner.name.startswith(".")
            )  # fmt: skip
        else:
            yield path


def opened(model: Model, paths: Sequence[str | Path]) -> tuple[Dataset, list[Path]]:
    """Return the readable pictures among files and folders as a dataset, and their paths in the same order."""
    files = [path for path in _files(paths, SUFFIXES["image"]) if _spoken(_real(path)) == _real(path)]
    ds, reasons = _scanned(model, files)
    good = np.array([reason is None for reason in reasons], bool)
    return ds.take(good), [path for path, fine in zip(files, good, strict=True) if fine]


def listed(model: Model, paths: Sequence[str | Path]) -> tuple[Dataset, list[str], list[str | None]]:
    """Return the pictures among files and folders, their names, and why each cannot be used, None = it can.

    Files whose names are not valid UTF-8 are left out.
    """
    files = [path for path in _files(paths, SUFFIXES["image"]) if _spoken(_real(path)) == _real(path)]
    ds, reasons = _scanned(model, files)
    return ds, [str(path) for path in files], reasons


def _absolute(files: Sequence[Path]) -> list[str]:
    return [os.path.relpath(_real(path), "/") if os.name == "posix" else _real(path) for path in files]


def _real(path: Path) -> str:
    """Return where a path leads; a link that leads to itself is left as it is."""
    return os.path.realpath(path)


def _block(model: Model, files: Sequence[Path], threshold: float | None) -> list[Prediction]:
    absolute = _absolute(files)
    named = [number for number, text in enumerate(absolute) if _spoken(text) == text]
    reasons: list[str | None] = [BAD_NAME] * len(files)
    told = Said.nothing(len(files), len(model.classes))
    quick = _quick(model, [absolute[number] for number in named]) if named else None
    if quick is not None:
        told.put(np.array(named), quick)
        for number in named:
            reasons[number] = None
    elif named:
        ds, found = _scanned(model, [files[number] for number in named])
        good = np.array([reason is None for reason in found], bool)
        if good.any():  # a dataset without one usable row has no features of the model's width
            told.put(np.array(named)[good], _answers(model, ds, good, found))
        for number, reason in zip(named, found, strict=True):
            reasons[number] = reason
    names = [_spoken(str(path)) for path in files]
    return _rows(model, names, told, reasons, threshold)


def _quick(model: Model, absolute: Sequence[str]) -> Said | None:
    """Return the answers about pictures that are opened once; None where one of them has none, to be told why.

    The scan measures every picture, which takes longer than to open it: it is left to blocks that hold a broken one. A
    block whose first picture cannot be opened is such a block; the model is not asked about it.
    """
    from scarce import modality

    if model.card.get("modality", "image") != "image":
        return None
    try:
        ds = _listed(model, absolute)
        modality.open_samples(ds, [0], at_least=1)
        told = said(model, ds)
    except ScarceError:  # what is not for the files is raised again below
        return None
    return told if np.isfinite(told.probs).all() else None


def _spoken(text: str) -> str:
    """Return a file's name as text that every file can hold: bytes that are not UTF-8 become backslash escapes."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _scanned(model: Model, files: Sequence[Path]) -> tuple[Dataset, list[str | None]]:
    """Return the files as a dataset in their order, and why each cannot be used, None = it can."""
    from scarce import modality

    ds = modality.scan(_listed(model, _absolute(files)))
    reasons = [
        None if keep else (why or "it cannot be read") for keep, why in zip(ds["keep"], ds["drop_reason"], strict=True)
    ]
    return ds, [
        BAD_LINK if why == MISSING and file.is_symlink() else why for file, why in zip(files, reasons, strict=True)
    ]


def _listed(model: Model, absolute: Sequence[str]) -> Dataset:
    """Return the files as a dataset in their order, unopened."""
    ids = [digest(str(number))[:16] for number in range(len(absolute))]
    kind = str(model.card.get("modality", "image"))
    schema = Schema(modality=kind, classes=model.classes, normal_classes=tuple(model.card.get("normal_classes", ())))
    root = "/" if os.name == "posix" else ""
    ds = Dataset.from_columns(
        schema, {"id": ids, "uri": list(absolute), "source": ["files"] * len(ids)}, sources={"files": root}
    )
    return ds.take(ds.rows_of(ids))


def _answers(model: Model, ds: Dataset, good: Mask, reasons: list[str | None]) -> Said:
    """Return the answers about the good rows; a row that breaks only now gets none, and its reason."""
    try:
        return said(model, ds.take(good))
    except ReadError:
        told = _one_by_one(model, ds, reasons)
        return Said(told.probs[good], told.foreign[good])


def _one_by_one(model: Model, ds: Dataset, reasons: list[str | None]) -> Said:
    """Predict each row alone, so that one that breaks only now costs no other its answer."""
    out = Said.nothing(len(ds), len(model.classes))
    for row in range(len(ds)):
        if reasons[row] is None:
            try:
                out.put(np.array([row]), said(model, ds.take(np.array([row]))))
            except ReadError as error:
                reasons[row] = str(error)
    return out


def _rows(
    model: Model, names: Sequence[str], told: Said, reasons: Sequence[str | None], threshold: float | None
) -> list[Prediction]:
    """Return one prediction a sample."""
    normal = [model.classes.index(item) for item in model.card.get("normal_classes", ())]
    natural = model.natural(told.probs, Schema(classes=model.classes)) if model.card.get("natural") else None
    found = []
    for place, (name, reason) in enumerate(zip(names, reasons, strict=True)):
        probs, foreign = told.probs[place], float(told.foreign[place])
        if reason is not None or not np.isfinite(probs).all():
            found.append(Prediction(path=sample_name(name), error=reason or "the model gives no probability"))
            continue
        best, left = int(probs.argmax()), candidates(model, probs)
        found.append(Prediction(
            path=sample_name(name), label=model.classes[best], probability=float(probs[best]),
            natural_probability=None if natural is None else float(natural[place, best]),
            verdict=verdict(model, probs, foreign, threshold, left),
            defect_score=float(1.0 - probs[normal].sum()) if normal else None,
            unknown_score=foreign if np.isfinite(foreign) else None, candidates=tuple(left),
            probabilities=dict(zip(model.classes, probs.tolist(), strict=True)),
        ))  # fmt: skip
    return found


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet shows and does not run as a formula."""
    return "'" + text if text.startswith(DANGEROUS) else text


def write_csv(predictions: Sequence[Prediction], out: str | Path | TextIO) -> None:
    """Write one line a file: path, class, probability, verdict, defect_score, error ... and p(<class>) columns."""
    if not hasattr(out, "write"):
        with Path(out).open("w", encoding="utf-8", newline="") as file:
            write_csv(predictions, file)
        return
    classes = next((list(item.probabilities) for item in predictions if item.probabilities), [])
    writer = csv.writer(out)
    head = ["path", "class", "probability", "verdict", "defect_score", "error", "unknown_score", "candidates",
            "natural_probability"]  # fmt: skip
    writer.writerow(head + [f"p({safe_cell(name)})" for name in classes])
    for item in predictions:
        numbers = [_number((item.probabilities or {}).get(name)) for name in classes]
        writer.writerow([
            safe_cell(item.path), safe_cell(item.label or ""), _number(item.probability), item.verdict or "",
            _number(item.defect_score), safe_cell(item.error or ""), _number(item.unknown_score),
            safe_cell("; ".join(item.candidates)), _number(item.natural_probability), *numbers,
        ])  # fmt: skip


def write_json(predictions: Sequence[Prediction], out: str | Path | TextIO) -> None:
    """Write a JSON list with one object a file."""
    body = [{"class" if key == "label" else key: value for key, value in asdict(item).items()} for item in predictions]
    text = json.dumps(body, ensure_ascii=False, indent=1, allow_nan=False)
    if isinstance(out, str | Path):
        Path(out).write_text(text + "\n", encoding="utf-8")
    else:
        out.write(text + "\n")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
