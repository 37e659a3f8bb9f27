"""The folder of generated samples: files, and one line of JSON for each that came out, accepted or not."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce.dataset import Array
from scarce.errors import ConfigError, ReadError
from scarce.lineage import canonical_json, digest
from scarce.recipe import read_mask
from scarce.synthesize._export import IMAGES, objects_of, write_class_folders, write_labels
from scarce.synthesize._veto import vetoed, write_manifest

WHO: Final = "synthesize.generate"
FORMAT: Final = 1
JOURNAL, TEXTS = "journal.jsonl", "texts.csv"


@dataclass(eq=False)
class Journal:
    """What a folder holds.

    Args:
        folder: of the files.
        settings: what every sample depends on; a folder takes samples of the same settings only.

    Raises:
        ConfigError: the folder holds samples of other settings, or other files.
        ReadError: it cannot be read.
    """

    folder: Path
    settings: Mapping[str, Any]
    samples: list[dict[str, Any]] = field(default_factory=list)
    orders: Counter[str] = field(default_factory=Counter)
    spent: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Read what earlier sessions left; a line that was cut off by a crash is dropped."""
        self.folder = Path(self.folder).expanduser()
        path = self.folder / JOURNAL
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            taken = any(self.folder.iterdir())
            text = path.read_text("utf-8") if path.exists() else ""
        except OSError as error:
            raise ReadError(WHO, f"{self.folder} cannot be used ({error})") from error
        whole, _, cut = text.rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines() if line]
        if len(lines) < 2:  # nothing was made or paid for
            if taken and not text:
                raise ConfigError(WHO, f"{self.folder} holds other files", do="name a new folder")
            path.write_text(canonical_json({"format": FORMAT, "settings": self.settings}) + "\n", "utf-8")
            return
        self._same(lines[0])
        if cut:
            path.write_text(whole + "\n", "utf-8")
        said = vetoed(self.folder, [line["file"] for line in lines[1:] if line.get("accepted") and "file" in line])
        for line in lines[1:]:
            if said.get(line.get("file", "")):
                line |= {"accepted": False, "why": said[line.pop("file")]}
            self._take(line)
        if said:
            part = path.with_suffix(".part")
            part.write_text("".join(f"{canonical_json(line)}\n" for line in lines), "utf-8")
            part.replace(path)
            for file in said:
                (self.folder / file).unlink(missing_ok=True)

    def _same(self, head: Mapping[str, Any]) -> None:
        now, then = json.loads(canonical_json(self.settings)), head.get("settings", {})
        if head.get("format") != FORMAT:
            raise ConfigError(WHO, f"{self.folder} has a journal of format {head.get('format')}", f"known is {FORMAT}")
        if now != then:
            changed = sorted(key for key in {*now, *then} if now.get(key) != then.get(key))
            raise ConfigError(WHO, f"{self.folder} holds samples of other settings: {', '.join(changed)}",
                              f"there {then.get(changed[0])!r}, now {now.get(changed[0])!r}",
                              "name a new folder, or the same settings to go on")  # fmt: skip

    def _take(self, line: dict[str, Any]) -> None:
        if "spent" in line:
            self.spent.update(line["spent"])
        else:
            self.samples.append(line)
            self.orders[line["label"]] = max(self.orders[line["label"]], line["order"] + 1)

    @property
    def accepted(self) -> list[dict[str, Any]]:
        """The samples that were accepted, in the order in which they came."""
        return [line for line in self.samples if line["accepted"]]

    def content(self, line: Mapping[str, Any]) -> Array | str:
        """Return the picture or text of a line.

        Raises:
            ReadError: its file is gone or broken.
        """
        if "text" in line:
            return str(line["text"])
        import cv2

        try:
            found = cv2.imdecode(np.fromfile(self.folder / line["file"], np.uint8), cv2.IMREAD_UNCHANGED)
        except (OSError, cv2.error):
            found = None
        if found is None:
            raise ReadError(WHO, f"{self.folder / line['file']} cannot be read", do="name a new folder")
        pixels = np.asarray(found)
        return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))

    def write(self, line: dict[str, Any], content: Array | str, mask: Array | None) -> None:
        """Keep one sample: first its files, then its line.

        Raises:
            ReadError: the disk does not take it.
        """
        try:
            if not isinstance(content, str):
                line |= self._files(line, content, mask)
            else:
                line["text"] = content
            self._append(line)
        except OSError as error:
            what = f"{self.folder} takes no more files ({error.strerror or error})"
            do = "make room and give the same command again: what is finished is kept"
            raise ReadError(WHO, what, do=do) from error

    def spend(self, amount: Mapping[str, float]) -> None:
        """Note what the last order cost."""
        if any(amount.values()):
            self._append({"spent": dict(amount)})

    def write_texts(self) -> None:
        """Write the accepted texts as a table; row k is the k-th accepted one, whatever comes later."""
        out = io.StringIO(newline="")
        table = csv.writer(out)
        table.writerow(["text", "label"])
        table.writerows([line["text"], line["label"]] for line in self.accepted)
        part = self.folder / f".{TEXTS}.part"
        part.write_text(out.getvalue(), "utf-8")
        part.replace(self.folder / TEXTS)

    def write_labels(self, classes: Sequence[str]) -> None:
        """Write the accepted pictures as class folders, and those with masks as COCO and YOLO files."""
        rows, marked = [], []
        for line in self.accepted:
            row = {"file": Path(line["file"]).name, "class": line["label"]}
            rows.append(row)
            if "mask" in line:
                mask = read_mask(self.folder / line["mask"])
                marked.append({**row, "objects": objects_of(line["label"], mask, np.array([line["box"]]))})
        if marked:
            write_labels(self.folder, marked, classes)
        write_class_folders(self.folder, rows)
        write_manifest(self.folder, [
            {"file": line["file"], "class": line["label"], "base": next(iter(line["parents"]), "")}
            for line in self.accepted
        ])  # fmt: skip

    def _append(self, line: dict[str, Any]) -> None:
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as file:
            file.write(canonical_json(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(line)

    def _files(self, line: Mapping[str, Any], picture: Array, mask: Array | None) -> dict[str, Any]:
        import cv2

        place = IMAGES if line["accepted"] else "rejected"
        name = f"{line['sha'][:16]}.png"
        (self.folder / place).mkdir(parents=True, exist_ok=True)
        file = {"file": f"{place}/{name}"}
        pixels = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        _save(self.folder / place / name, pixels)
        if mask is not None and line["accepted"]:
            (self.folder / "masks").mkdir(exist_ok=True)
            file["mask"] = f"masks/{name}"
            _save(self.folder / "masks" / name, mask.astype(np.uint8) * np.uint8(255))
        return file


def _save(path: Path, pixels: Array) -> None:
    import cv2

    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def content_key(content: Array | str) -> str:
    """Return what two samples share only if they are equal."""
    if isinstance(content, str):
        return digest(content)
    return digest(str(content.shape), np.ascontiguousarray(content).tobytes())


def read_samples(folder: Path, who: str) -> list[dict[str, Any]]:
    """Return the lines of samples in a folder's journal.

    Raises:
        ReadError: there is none, or it cannot be read.
    """
    try:
        whole, _, _ = (folder / JOURNAL).read_text("utf-8").rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines() if line]
    except (OSError, ValueError) as error:
        raise ReadError(who, f"{folder / JOURNAL} cannot be read ({error})", do="restore the folder") from error
    return [line for line in lines[1:] if "spent" not in line]
