"""Croissant: a JSON-LD description of files and of the records in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, final

from scarce.errors import DataError, ReadError
from scarce.io._base import AbstractReader, Options
from scarce.io._listing import BAD, Listing, Note
from scarce.io._outlet import Outlet, csv_text
from scarce.io._picture import inside, read_file
from scarce.io._rows import FILES, rows_of
from scarce.io._stream import holds
from scarce.lineage import digest
from scarce.modality.table import DELIMITED, LINES, PARQUET

NAME, TABLE = "croissant.json", "index.csv"
_ROLES: Final = ("label", "group", "split", "text")


@final
@dataclass(frozen=True, kw_only=True)
class Croissant(AbstractReader):
    """Croissant 1.0 and 1.1: a JSON-LD description of a table (CSV, JSON lines, Parquet) and the files it names.

    Use where ``croissant.json`` lies beside its data. The first record set whose fields come from one local table is
    read through that table; fields called label, group, split and text say what its columns are. Web addresses are
    not followed: download the files first. A table that differs from its checksum is read, with a warning.
    Writes: what the reader of the table writes.
    Source: docs.mlcommons.org/croissant for the format.
    """

    exact: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    def accepts(self, path: Path) -> float:
        """Return 1 for a JSON-LD file with record sets, or a folder with one."""
        return 1.0 if _document(path) else 0.0

    def listing(self, path: Path, options: Options) -> Listing:
        """Return the samples of the described table."""
        document = _document(path)
        if document is None:
            raise DataError("io.croissant", f"{path} holds no Croissant description", do="it needs a croissant.json")
        data = read_file(document)
        try:
            body = json.loads(data.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            what = f"{document} is no readable JSON ({str(error)[:120]})"
            raise ReadError("io.croissant", what, do="write it again") from None
        table, columns, checksum = _table(body, document)
        known = {name: columns[name] for name in _ROLES if name in columns and getattr(options, name) is None}
        known = {name: value for name, value in known.items() if name != value}
        found = _read_table(table, replace(options, **known, source=options.name_for(path)))
        found.inputs[document.name] = digest(data)
        found.classes = tuple(dict.fromkeys((*_classes(body), *found.classes)))
        if checksum and hashlib.sha256(read_file(table)).hexdigest() != checksum.lower():
            why = f"{table.name} is not the file that {document.name} describes: its sha256 differs"
            found.notes.append(Note("data", why, BAD))
        return found

    def write(self, out: Outlet) -> None:
        """Write ``croissant.json`` and ``index.csv`` beside ``images/``."""
        rows = [row for _, row in rows_of(out)]
        keys = list(dict.fromkeys(key for row in rows for key, value in row.items() if value is not None))
        text = csv_text(rows)
        out.text(TABLE, text)
        kinds = {key: _kind([row.get(key) for row in rows]) for key in keys}
        files = out.ds.schema.modality if out.ds.schema.modality in FILES and out.files != "none" else ""
        body = _described(out, kinds, hashlib.sha256(text.encode()).hexdigest(), files=files)
        out.text(NAME, json.dumps(body, ensure_ascii=False, indent=2) + "\n")


def _document(path: Path) -> Path | None:
    if path.is_dir():
        names = [path / NAME, *sorted(item for item in path.glob("*.json") if item.name != NAME)]
        return next((item for item in names if item.exists() and _is_croissant(item)), None)
    return path if path.suffix.lower() in (".json", ".jsonld") and _is_croissant(path) else None


def _is_croissant(path: Path) -> bool:
    return holds(path, b"{", rb'"@context"', rb'"(cr:)?recordSet"', rb"mlcommons\.org/croissant")


def _read_table(path: Path, options: Options) -> Listing:
    from scarce.io._run import choose

    return choose(path, options)[1].listing(path, options)


def _listed(value: Any) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, Mapping)]


def _ref(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("@id", "")
    return str(value or "").lstrip("#")


def _table(body: Any, document: Path) -> tuple[Path, dict[str, str], str]:
    """Return the table that the first usable record set comes from, field to column, and its checksum.

    Raises:
        DataError: no record set comes from one local table.
    """
    resources = {_ref(item.get("@id") or item.get("name")): item for item in _listed(body.get("distribution"))}
    why = "there is no record set"
    for records in _listed(body.get("recordSet")):
        fields = _listed(records.get("field"))
        sources = [field.get("source") or {} for field in fields]
        sources = [source if isinstance(source, Mapping) else {} for source in sources]
        names = {_ref(source.get("fileObject") or source.get("distribution")) for source in sources} - {""}
        if len(names) != 1 or len(names & set(resources)) != 1:
            why = "its record sets come from sets of files, or from several" if any(sources) else why
            continue
        resource = resources[next(iter(names))]
        url = str(resource.get("contentUrl") or "")
        local = inside(url) if "://" not in url else None
        if local is None or not (document.parent / local).is_file():
            why = f"{url or 'a file'} is not in its folder: download it there"
            continue
        if Path(local).suffix.lower() not in (*DELIMITED, *LINES, *PARQUET):
            why = f"{local} is no table"
            continue
        pairs = zip(fields, sources, strict=True)
        columns = {_short(field): str((source.get("extract") or {}).get("column") or "") for field, source in pairs}
        checksum = str(resource.get("sha256") or "")
        return document.parent / local, {key: value for key, value in columns.items() if value}, checksum
    do = "describe a CSV, JSON lines or Parquet file beside it, or read that file itself"
    raise DataError("io.croissant", f"{document.name} describes no table that can be read", why, do)


def _short(field: Mapping[str, Any]) -> str:
    return str(field.get("name") or _ref(field.get("@id"))).rpartition("/")[2].lower()


def _classes(body: Mapping[str, Any]) -> list[str]:
    """Return the class names of the record set ``classes``, in their order."""
    for records in _listed(body.get("recordSet")):
        if _ref(records.get("@id")) == "classes" and isinstance(records.get("data"), list):
            values = [next(iter(row.values()), None) for row in records["data"] if isinstance(row, Mapping)]
            return [str(value) for value in values if value is not None]
    return []


def _kind(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "sc:Boolean"
    if kinds == {int}:
        return "sc:Integer"
    return "sc:Float" if kinds and kinds <= {int, float} else "sc:Text"


def _described(out: Outlet, kinds: Mapping[str, str], checksum: str, *, files: str) -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field", "@id": f"samples/{_safe(key)}", "name": key, "dataType": kind,
            "source": {"fileObject": {"@id": TABLE}, "extract": {"column": key}},
        }
        for key, kind in kinds.items()
    ]  # fmt: skip
    distribution: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject", "@id": TABLE, "name": TABLE, "contentUrl": TABLE, "encodingFormat": "text/csv",
            "sha256": checksum,
        }
    ]  # fmt: skip
    if files:
        kind = {"image": "image/*", "audio": "audio/*"}[files]
        distribution.append(
            {"@type": "cr:FileSet", "@id": "files", "name": "files", "includes": "images/**", "encodingFormat": kind}
        )
    records: list[dict[str, Any]] = [{"@type": "cr:RecordSet", "@id": "samples", "name": "samples", "field": fields}]
    if out.classes:
        only = {"@type": "cr:Field", "@id": "classes/name", "name": "name", "dataType": "sc:Text"}
        data = [{"classes/name": label} for label in out.classes]
        records.append({
            "@type": "cr:RecordSet", "@id": "classes", "name": "classes", "dataType": "sc:Enumeration",
            "key": {"@id": "classes/name"}, "field": [only], "data": data,
        })  # fmt: skip
    name = " and ".join(out.ds.sources) or "samples"
    return {
        "@context": CONTEXT, "@type": "sc:Dataset", "name": name, "conformsTo": "http://mlcommons.org/croissant/1.0",
        "description": f"{len(out.pictures)} samples, written by scarce", "distribution": distribution,
        "recordSet": records,
    }  # fmt: skip


def _safe(name: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "_.-" else "_" for sign in name)


CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
