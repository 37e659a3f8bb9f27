"""Label Studio: tasks in JSON, with annotations and predictions."""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, final
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree.ElementTree import Element

from scarce.columns import LABEL_SOURCES
from scarce.errors import DataError, ReadError
from scarce.io._base import AbstractReader, Options
from scarce.io._extra import from_extra, to_extra
from scarce.io._listing import Listing
from scarce.io._markup import child, parse, to_text
from scarce.io._outlet import Outlet
from scarce.io._picture import WARN, Album, Locator, Picture, repaired_note, several_notes, sure_size
from scarce.io._regions import (
    BOX,
    BRUSH,
    CHOICE,
    POLYGON,
    Result,
    box_results,
    choice_result,
    read_results,
    region_kind,
)
from scarce.io._several import Vote, majority
from scarce.io._stream import holds
from scarce.io._times import moment
from scarce.io._walk import IMAGES, SOUNDS

ID, OWN, CONFIG, TASKS = "scarce_id", "scarce", "label_config.xml", "tasks.json"
_VALUES: Final = ("Label", "Choice")
_KINDS: Final = {"image": ("Image", "image"), "text": ("Text", "text"), "audio": ("Audio", "audio")}


@final
@dataclass(frozen=True, kw_only=True)
class LabelStudio(AbstractReader):
    """Label Studio: tasks in JSON, with annotations (votes of people) and predictions (labels to start from).

    Use for its JSON export, and to bring samples with their present labels in as predictions. Choices, rectangles,
    polygons, brush masks, ellipses, texts, numbers and ratings are read. Each annotation is a vote with who, when and
    how long; the label is the majority's, boxes are those of the ground truth or else of the newest annotation, other
    people's are kept in meta.other_annotations. Skipped tasks are abstentions. A task of ours keeps its sample's id.
    Writes: label, votes, meta.label_set, meta.boxes, meta.predicted_boxes, meta.<field> for texts and numbers.
    Source: labelstud.io/guide for the format.
    """

    exact: ClassVar[bool] = True
    writes: ClassVar[bool] = True
    ending: ClassVar[str] = ".json"

    def accepts(self, path: Path) -> float:
        """Return 1 for a JSON list of tasks with ``data``, or a folder with a ``tasks.json``."""
        file = path / TASKS if path.is_dir() else path
        if file.suffix.lower() != ".json" or not file.exists():
            return 0.0
        return 1.0 if holds(file, b"[", rb'"data"\s*:\s*\{', rb'"(annotations|predictions|result)"\s*:\s*\[') else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the tasks as samples."""
        file = path / TASKS if path.is_dir() else path
        album = Album(base=file.parent)
        try:
            tasks = json.loads(album.take(file).decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ReadError(
                "io.label_studio", f"{file} is no readable JSON ({str(error)[:120]})", do="export it again"
            ) from None
        if (album.base / CONFIG).is_file():
            page = parse(album.take(album.base / CONFIG), album.base / CONFIG)
            album.add_classes(name for item in page.iter() if item.tag in _VALUES and (name := item.get("value")))
        add_tasks(album, tasks if isinstance(tasks, list) else [], file.name)
        return album.listing(path, options)

    def write(self, out: Outlet) -> None:
        """Write ``tasks.json`` with predictions and ``label_config.xml`` beside the pictures, or one file of tasks."""
        tasks, unknown = [], 0
        modality = out.ds.schema.modality
        if modality not in _KINDS:
            raise DataError(
                "io.label_studio", f"{modality} samples cannot be shown in a task", do="image, text, audio can"
            )
        if modality == "text":
            named = [(picture, "") for picture in out.pictures]
        else:
            folder = "images" if out.files != "none" else ""
            named = list(out.place(lambda _: folder))
        texts = _texts(out) if modality == "text" else {}
        for number, (picture, name) in enumerate(named, 1):
            mask = out.place_mask(picture, f"masks/{name.removeprefix('images/')}") if name else None
            unknown += bool(picture.boxes and picture.size is None)
            tasks.append(to_task(picture, name or texts[picture.id or ""], modality, number=number, mask=mask))
        if unknown:
            out.lost["boxes of pictures of unknown size"] += unknown
        out.text(out.name or TASKS, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
        if not out.name:
            out.text(CONFIG, label_config(out.pictures, out.classes, modality))


def to_task(
    picture: Picture, content: str, modality: str, *, number: int = 1, mask: str | None = None
) -> dict[str, Any]:
    """Return one task with the present labels as a prediction.

    Args:
        picture: the sample with its marks; its id is kept in ``data.scarce_id``.
        content: its file or address as Label Studio is to open it, or its text.
        modality: ``image``, ``text`` or ``audio``.
        number: the task's id.
        mask: file of its mask.
    """
    key = _KINDS[modality][1]
    predictions = []
    size = picture.size
    marks = [*(picture.boxes or ())] if size else []
    labels = picture.labels if picture.labels is not None else [picture.label] if picture.label else None
    results = box_results(marks, size, key) if size else []
    results += [choice_result(labels, key)] if labels is not None else []
    if results or picture.boxes is not None:
        predictions.append({"model_version": picture.label_source or "given", "result": results})
    if picture.predicted is not None and size:
        scores = [float(item["score"]) for item in picture.predicted if item.get("score") is not None]
        lowest: dict[str, Any] = {"score": min(scores)} if scores else {}
        predictions.append(
            {"model_version": "predicted", **lowest, "result": box_results(picture.predicted, size, key)}
        )
    own = {name: value for name, value in to_extra(picture, mask=mask).items() if name not in _TOLD}
    if size:
        own["size"] = list(size)
    data = {key: content, ID: picture.id, **({OWN: own} if own else {})}
    return {"id": number, "data": data, "annotations": [], "predictions": predictions}


_TOLD: Final = ("label", "label_source", "label_set", "predicted")


def label_config(pictures: Sequence[Picture], classes: Sequence[str], modality: str) -> str:
    """Return the labelling page: what is shown, and the classes for choices and for the regions that occur."""
    shown, key = _KINDS[modality]
    view = Element("View")
    child(view, shown, name=key, value=f"${key}")
    kinds = {region_kind(item) for p in pictures for item in (*(p.boxes or ()), *(p.predicted or ()))}
    tags = {BOX: "RectangleLabels", POLYGON: "PolygonLabels", BRUSH: "BrushLabels"}
    for kind in [kind for kind in tags if kind in kinds]:
        page = child(view, tags[kind], name=kind, toName=key)
        for name in classes:
            child(page, "Label", value=name)
    if not kinds or any(picture.label or picture.labels is not None for picture in pictures):
        several = any(picture.labels is not None for picture in pictures)
        page = child(view, "Choices", name=CHOICE, toName=key, choice="multiple" if several else "single")
        for name in classes:
            child(page, "Choice", value=name)
    return to_text(view)


def add_tasks(album: Album, tasks: Sequence[Any], file: str) -> None:
    """Add tasks to an album: one sample each, every annotation as a vote.

    Args:
        album: where to; its base is where files are looked for.
        tasks: as Label Studio exports them.
        file: name of the file that they are from; texts are rows of it.
    """
    locator, counts, kinds = Locator(album.base), Counter[str](), Counter[str]()
    looked: list[Picture] = []
    for number, task in enumerate(task for task in tasks if isinstance(task, Mapping)):
        data = task.get("data")
        if not isinstance(data, Mapping):
            counts["tasks have no data: left out"] += 1
            continue
        picture, kind = _sample(data, locator, f"{file}#{number}")
        kinds[kind] += 1
        own = data.get(OWN)
        if isinstance(own, Mapping):
            from_extra(picture, own, album)
            picture.size = sure_size(*own["size"]) if isinstance(own.get("size"), list) else None
        _predictions(task.get("predictions"), picture, counts)
        votes = _annotations(task.get("annotations"), picture, len(album.pictures), counts)
        looked += [picture] * bool(votes)
        album.votes += votes
        album.pictures.append(picture)
    album.modality = kinds.most_common(1)[0][0] if kinds else "image"
    if any(picture.boxes for picture in album.pictures):
        for picture in looked:
            picture.boxes = picture.boxes or []
    _decide(album)
    album.add_classes(sorted({name for picture in album.pictures for name in _names(picture)}))
    repaired_note(locator, album)
    several_notes(album, counts, WARN)


def _sample(data: Mapping[str, Any], locator: Locator, row: str) -> tuple[Picture, str]:
    """Return the sample that a task shows, and its modality."""
    texts = {key: value for key, value in data.items() if key not in (ID, OWN) and isinstance(value, str)}
    meta = {key: value for key, value in data.items() if key not in (ID, OWN)}
    known = {str(data[ID])} if data.get(ID) else set()
    for key, value in texts.items():
        name = _file_of(value)
        ending = posixpath.splitext(name)[1].lower()
        if ending in IMAGES | SOUNDS:
            uri, reason = _found(locator, value, name)
            del meta[key]
            found = Picture(uri=uri, reason=reason, id=next(iter(known), None), meta=meta)
            return found, "image" if ending in IMAGES else "audio"
    if not texts:
        reason = "missing: the task shows neither a file nor a text"
        return Picture(uri=row, reason=reason, id=next(iter(known), None), meta=meta), "text"
    key = "text" if "text" in texts else max(texts, key=lambda name: len(texts[name]))
    reason = None if texts[key].strip() else "empty: no text"
    del meta[key]
    return Picture(uri=f"{row}:data.{key}", reason=reason, id=next(iter(known), None), meta=meta), "text"


def _file_of(value: str) -> str:
    """Return the path that an address of Label Studio means."""
    if "/local-files/" in value and "?" in value:
        return parse_qs(urlsplit(value).query).get("d", [""])[0]
    return unquote(urlsplit(value).path) if "://" in value else value.removeprefix("/data/upload/")


def _found(locator: Locator, value: str, name: str) -> tuple[str, str | None]:
    if value.startswith("/data/upload/") or "://" in value or "/local-files/" in value:
        name = name.lstrip("/")
    uri, reason = locator.find(name, ("", "images"))
    base = posixpath.basename(name)
    if reason and value.startswith("/data/upload/") and base[8:9] == "-":
        uri, reason = locator.find(base[9:], ("", "images"))
    if reason and "://" in value:
        return uri, "missing: a web address, not a file on this machine"
    return uri, reason


def _annotations(said: Any, picture: Picture, row: int, counts: Counter[str]) -> list[Vote]:
    """Fill in what people said and return their votes; the ground truth, or else the newest, draws the boxes."""
    votes, drawn = [], list[tuple[bool, str, dict[str, Any], Result]]()
    for number, one in enumerate(said if isinstance(said, list) else (), 1):
        if not isinstance(one, Mapping):
            continue
        who, when = _who(one.get("completed_by")), moment(one.get("updated_at") or one.get("created_at"))
        seconds = one.get("lead_time")
        vote = Vote(row, who, None, when, float(seconds) if isinstance(seconds, int | float) else None)
        try:
            found = read_results(one.get("result") or [])
        except (ValueError, TypeError, KeyError, IndexError) as error:
            picture.reason = picture.reason or f"broken: annotation {one.get('id', number)} cannot be read ({error})"
            continue
        for kind in found.left_out:
            counts[f"results of the kind {kind} are left out"] += 1
        if one.get("was_cancelled"):
            votes.append(vote)
            continue
        labels = found.choices or []
        kind = (
            "human" if found.boxes is None and len(labels) < 2 else "boxes" if found.boxes is not None else "label_set"
        )
        votes.append(
            replace(vote, label=labels[0] if len(labels) == 1 else None, kind="human" if len(labels) == 1 else kind)
        )
        told = {"annotator": who, "when": str(when) if when else None, "labels": labels, "boxes": found.boxes}
        drawn.append((bool(one.get("ground_truth")), str(when or ""), told, found))
    if not drawn:
        return votes
    best = max(drawn, key=lambda item: item[:2])
    picture.size = best[3].size or picture.size
    picture.meta |= best[3].texts
    picture.labels = best[3].choices
    picture.label = None
    if best[3].boxes is not None:
        picture.boxes = [{**item, "annotator": best[2]["annotator"]} for item in best[3].boxes]
    others = [item[2] for item in drawn if item is not best and (item[3].boxes or len(item[3].choices or ()) > 1)]
    if others:
        picture.meta["other_annotations"] = json.dumps(others, ensure_ascii=False)
    return votes


def _who(said: Any) -> str:
    if isinstance(said, Mapping):
        said = said.get("email") or said.get("username") or said.get("id")
    return "unknown" if said is None else str(said)


def _predictions(said: Any, picture: Picture, counts: Counter[str]) -> None:
    """Fill in predictions: those that we wrote are the present labels, those of a model stay predictions."""
    for one in said if isinstance(said, list) else ():
        try:
            found = read_results(one.get("result") or [])
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            counts["predictions cannot be read: left out"] += 1
            continue
        source = str(one.get("model_version") or "model")
        picture.size = found.size or picture.size
        if source in LABEL_SOURCES:
            regions = found.boxes is not None or not found.choices
            picture.boxes = found.boxes or [] if regions else picture.boxes
            picture.labels = found.choices
            picture.label_source = source if found.choices else None
        elif found.boxes is not None:
            picture.predicted = found.boxes
        elif found.choices:
            picture.meta["predicted_label"] = "|".join(found.choices)


def _decide(album: Album) -> None:
    """Make choices the label where no sample has several, by the majority of the votes; else the set of labels."""
    if any(len(picture.labels or ()) > 1 for picture in album.pictures):
        return
    agreed = majority(album.votes, len(album.pictures))
    people = Counter(vote.row for vote in album.votes if vote.label is not None)
    for row, picture in enumerate(album.pictures):
        if people[row]:
            picture.label, picture.label_source = agreed[row], "vote" if people[row] > 1 else "human"
            picture.label_source = picture.label_source if picture.label else None
        elif picture.labels:
            picture.label = picture.labels[0]
        picture.labels = None


def _names(picture: Picture) -> set[str]:
    items = (*(picture.boxes or ()), *(picture.predicted or ()))
    return {item["label"] for item in items if isinstance(item, dict)} | set(picture.labels or ())


def _texts(out: Outlet) -> dict[str, str]:
    """Return the text of each sample by its id."""
    from scarce.modality import raw

    found = raw.fetch(out.ds, range(len(out.ds)))
    return dict(zip(out.ds.ids.tolist(), map(str, found), strict=True))
