"""A question as a task of Label Studio, and what an annotation of it says."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from scarce import modality
from scarce.errors import DataError
from scarce.label_studio.region import NAMES, to_objects, to_regions
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
    shown = '<Text name="sample" value="$text"/>' if ds.schema.modality == "text" else (
        '<Image name="sample" value="$image" zoom="true"/>')  # fmt: skip
    names = [f"value={quoteattr(name)}" for name in ds.schema.classes]
    choices = "".join(f"<Choice {name}/>" for name in names)
    parts = [f'<Choices name="label" toName="sample" choice="single-radio">{choices}</Choices>']
    if BOXES in ds.table.column_names:
        labels = "".join(f"<Label {name}/>" for name in _drawn(ds))
        tags = {"rectanglelabels": "RectangleLabels", "polygonlabels": "PolygonLabels", "brushlabels": "BrushLabels"}
        parts += [f'<{tags[kind]} name="{name}" toName="sample">{labels}</{tags[kind]}>'
                  for kind, name in NAMES.items()]  # fmt: skip
    verdicts = "".join(f"<Choice value={quoteattr(word)}/>" for word in (ASIDE, UNSURE))
    parts.append(f'<Choices name="verdict" toName="sample" choice="single-radio">{verdicts}</Choices>')
    parts.append('<TextArea name="comment" toName="sample" placeholder="Comment"/>')
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
        result.append(choice(question.suggestion or str(question.label)))
    if BOXES in ds.table.column_names and (cell := ds.table[BOXES][row].as_py()):
        result += to_regions(json.loads(cell), size or _size_of(ds, row))
    known = {"scarce_id": question.sample, "kind": question.kind, "reason": question.reason,
             "priority": round(question.priority, 6), "split": question.split, "file": question.file}  # fmt: skip
    score = round(1 - question.priority, 6)
    predictions = [{"model_version": model, "score": score, "result": result}] if result else []
    return {"data": {**data, "scarce_id": question.sample, "asked": question.reason}, "meta": known,
            "predictions": predictions}  # fmt: skip


def choice(name: str) -> dict[str, Any]:
    """Return a class as a region of Label Studio."""
    return {"id": "label", "from_name": "label", "to_name": "sample", "type": "choices", "value": {"choices": [name]}}


def said_in(regions: Iterable[Mapping[str, Any]]) -> Said:
    """Return what an annotation says."""
    regions = list(regions)
    chosen = {
        str(item["from_name"]): str(item["value"]["choices"][0])
        for item in regions if item.get("type") == "choices" and item["value"].get("choices")
    }  # fmt: skip
    texts = [str(text) for item in regions if item.get("type") == "textarea" for text in item["value"]["text"]]
    verdict = chosen.pop("verdict", "")
    return Said(next(iter(chosen.values()), None), verdict, tuple(to_objects(regions)), "\n".join(texts))


def _drawn(ds: Dataset) -> list[str]:
    """Return the values of all labels that boxes have, and of the classes."""
    cells = [json.loads(cell) for cell in ds.table[BOXES].to_pylist() if cell]
    names = dict.fromkeys([*ds.schema.classes, *(str(item["label"]) for cell in cells for item in cell)])
    return [f"value={quoteattr(name)}" for name in names]


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
