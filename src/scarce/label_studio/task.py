"""A question as a task of Label Studio, and what an annotation of it says."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from scarce import modality
from scarce.errors import DataError
from scarce.io._regions import BOX, BRUSH, CHOICE, POLYGON, box_results, choice_result, read_results
from scarce.io.boxes import objects_in
from scarce.io.label_studio import ID
from scarce.loop.answering import ASIDE, UNSURE
from scarce.modality import raw

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.loop.asking import Question
    from scarce.project import Project

BOXES: Final = "meta.boxes"
PLAIN_BYTES: Final = 400_000
"""Files up to this size travel as they are; larger pictures are made smaller."""
SIDE: Final = 1600
VERDICT, COMMENT, ASKED = "scarce_verdict", "comment", "asked"
"""Controls of the page, and the text beside the sample, that are ours alone."""
TAGS: Final = {BOX: "RectangleLabels", POLYGON: "PolygonLabels", BRUSH: "BrushLabels"}
TYPES: Final = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}


@dataclass(frozen=True)
class Said:
    """What an annotation says.

    Attributes:
        label: the class; None = none was chosen.
        verdict: ``set aside``, ``unsure``, or "".
        objects: boxes, outlines and masks in our form.
        comment: what was written.
    """

    label: str | None = None
    verdict: str = ""
    objects: tuple[Mapping[str, Any], ...] = field(default=())
    comment: str = ""


def config_of(ds: Dataset) -> str:
    """Return the label configuration of a project for a dataset: its classes, and tools to draw where it has boxes.

    Raises:
        DataError: there are no classes, or the kind of data cannot be shown.
    """
    if not ds.schema.classes:
        raise DataError("label studio", "there are no classes to answer with", do="scarce classes add NAME NAME")
    key = _key(ds)
    shown = f'<Text name="{key}" value="${key}"/>' if key == "text" else (
        f'<Image name="{key}" value="${key}" zoom="true"/>')  # fmt: skip
    choices = "".join(f"<Choice value={quoteattr(name)}/>" for name in ds.schema.classes)
    parts = [f'<Choices name="{CHOICE}" toName="{key}" choice="single-radio">{choices}</Choices>']
    if BOXES in ds.table.column_names:
        labels = "".join(f"<Label value={quoteattr(name)}/>" for name in _drawn(ds))
        parts += [f'<{tag} name="{kind}" toName="{key}">{labels}</{tag}>' for kind, tag in TAGS.items()]
    verdicts = "".join(f"<Choice value={quoteattr(word)}/>" for word in (ASIDE, UNSURE))
    parts.append(f'<Choices name="{VERDICT}" toName="{key}" choice="single-radio">{verdicts}</Choices>')
    parts.append(f'<TextArea name="{COMMENT}" toName="{key}" placeholder="Comment"/>')
    return f"<View>{shown}{''.join(parts)}</View>"


def model_name(project: Project) -> str:
    """Return what our predictions are called, in tasks and by the backend."""
    return f"scarce-{project.head or 'empty'}"


def task_of(ds: Dataset, question: Question, *, model: str, pictures: str = "") -> dict[str, Any]:
    """Return a question as a task; the sample's id lies in ``meta`` and in ``data``.

    Args:
        ds: where the sample is.
        question: about it.
        model: name of what suggests.
        pictures: address in front of each file's name; "" = the file travels inside the task.

    Raises:
        ReadError: the file cannot be read.
    """
    row = int(ds.rows_of([question.sample])[0])
    data, size = _content(ds, row, pictures)
    result = []
    if question.suggestion or question.label:
        result.append(choice(ds, question.suggestion or str(question.label)))
    cell = ds.table[BOXES][row].as_py() if BOXES in ds.table.column_names else None
    if cell:
        result += box_results(objects_in(cell) or [], size or _size_of(ds, row), _key(ds))
    known = {ID: question.sample, "kind": question.kind, "reason": question.reason,
             "priority": round(question.priority, 6), "split": question.split, "file": question.file}  # fmt: skip
    score = round(1 - question.priority, 6)
    predictions = [{"model_version": model, "score": score, "result": result}] if result else []
    return {"data": {**data, ID: question.sample, ASKED: question.reason}, "meta": known, "predictions": predictions}


def choice(ds: Dataset, name: str) -> dict[str, Any]:
    """Return a class as a region of Label Studio."""
    return choice_result([name], _key(ds))


def said_in(regions: Sequence[Mapping[str, Any]]) -> Said:
    """Return what an annotation says.

    Raises:
        ValueError: a region is broken.
    """
    mine = [item for item in regions if item.get("from_name") == VERDICT]
    found = read_results([item for item in regions if item.get("from_name") != VERDICT])
    verdict = next(iter(read_results(mine).choices or ()), "")
    written = "\n".join(str(text) for text in found.texts.values() if text)
    return Said(next(iter(found.choices or ()), None), verdict, tuple(found.boxes or ()), written)


def _key(ds: Dataset) -> str:
    """Return what shows the sample: the name of its control and of its field in a task."""
    return "text" if ds.schema.modality == "text" else "image"


def _drawn(ds: Dataset) -> list[str]:
    """Return all labels that boxes have, and the classes."""
    cells = [objects_in(cell) or [] for cell in ds.table[BOXES].to_pylist()]
    return list(dict.fromkeys([*ds.schema.classes, *(item["label"] for cell in cells for item in cell)]))


def _content(ds: Dataset, row: int, pictures: str) -> tuple[dict[str, str], tuple[int, int] | None]:
    """Return what a task shows, and width and height of the original picture where they were found out."""
    if ds.schema.modality == "text":
        return {"text": str(modality.open_samples(ds, [row])[0])}, None
    if pictures:
        return {"image": pictures.rstrip("/") + "/" + quote(ds.table["uri"][row].as_py() or "")}, None
    content = None if ds.table["recipe"][row].as_py() else raw.fetch(ds, [row])[0]
    kind = next((name for head, name in TYPES.items() if isinstance(content, bytes) and content.startswith(head)), "")
    if isinstance(content, bytes) and kind and len(content) <= PLAIN_BYTES:
        return {"image": f"data:{kind};base64,{base64.b64encode(content).decode()}"}, None
    picture = modality.open_samples(ds, [row])[0] if ds.schema.modality == "image" else None
    shown = np.asarray(modality.thumbnails(ds, [row], size=512)[0] if picture is None else picture)
    return {"image": _jpeg(shown)}, (shown.shape[1], shown.shape[0])


def _jpeg(picture: Any) -> str:
    from PIL import Image

    small = Image.fromarray(picture)
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _size_of(ds: Dataset, row: int) -> tuple[int, int]:
    picture = np.asarray(modality.open_samples(ds, [row])[0])
    return picture.shape[1], picture.shape[0]
