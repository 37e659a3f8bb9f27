"""The folder of made pictures and the list of tries in it: what an interrupted call picks up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError, ReadError
from scarce.synthesize._export import IMAGES, write_class_folders, write_labels
from scarce.synthesize._veto import vetoed, write_manifest

TRIES: Final = "tries.jsonl"
STAGED: Final = ".made"
"""Pictures wait here until all of a call are done and get their labels, so that no trainer sees one without."""
FOLDERS: Final = (IMAGES, "masks")


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


class Tally:
    """Every try so far, one line of JSON each, behind a first line that says what was planned.

    A picture is on disk before its line is, and gets its place in ``images/train`` when the labels are written. A line
    that an interruption cut short is dropped, and so is a picture without a line. What a person refused since (see
    ``_veto``) counts as rejected.

    Attributes:
        out: the folder.
        tried: tries so far.
        next: index of the next try.
        count: how many were accepted.
    """

    def __init__(self, out: Path, rows: list[dict[str, Any]], who: str) -> None:
        self.out, self.who = out, who
        self._rows = rows
        self._waiting: list[str] = []
        self.tried = len(rows)
        self.next = rows[-1]["index"] + 1 if rows else 0
        self.count = sum(not row["reason"] for row in rows)

    @classmethod
    def open(cls, out: Path, plan: Mapping[str, Any], who: str) -> Tally:
        """Begin a folder, or pick up one of the same plan.

        Raises:
            DataError: the folder holds another plan, or files that are not of this work.
            ReadError: it cannot be written.
        """
        place = out / TRIES
        if not place.is_file() and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(who, f"{out} is there already and holds something else", do="name a new folder")
        try:
            if not place.is_file():
                for folder in FOLDERS:
                    (out / folder).mkdir(parents=True, exist_ok=True)
                place.write_text(json.dumps({"plan": plan}, ensure_ascii=False) + "\n", encoding="utf-8")
            text = place.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]
            lines = [json.loads(line) for line in whole.splitlines()]
            if whole != text:
                place.write_text(whole, encoding="utf-8")
        except ValueError as error:
            raise DataError(who, f"{place} cannot be read ({error})", do="name a new folder") from error
        except OSError as error:
            what = f"{out} cannot be written ({error.strerror or error})"
            raise ReadError(who, what, do="check the path, its rights and the space on the disk") from error
        before = lines[0].get("plan", {}) if lines else {}
        now = json.loads(json.dumps(plan))
        other = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        if other:
            raise DataError(who, f"{out} was made with another {' and '.join(other)}",
                            "; ".join(f"{key} was {str(before.get(key))[:60]}" for key in other),
                            "name a new folder, or use the same settings")  # fmt: skip
        found = cls(out, lines[1:], who)
        found._drop_loose()
        found._refuse(lines[0])
        return found

    def _drop_loose(self) -> None:
        """Delete what an interruption left without a line, and make room for what is to come."""
        known = {row["file"] for row in self.accepted()}
        with self._careful(self.out / STAGED):
            for folder in FOLDERS:
                place = self.out / STAGED / folder
                place.mkdir(parents=True, exist_ok=True)
                for file in place.iterdir():
                    if file.name not in known:
                        file.unlink()

    def _place(self, folder: str, file: str) -> Path:
        """Return where a picture or mask lies now."""
        staged = self.out / STAGED / folder / file
        return staged if staged.is_file() else self.out / folder / file

    def _refuse(self, head: Mapping[str, Any]) -> None:
        """Turn accepted tries that a person refused since into rejected ones, on disk too."""
        shown = [row["file"] for row in self.accepted() if not (self.out / STAGED / IMAGES / row["file"]).is_file()]
        said = vetoed(self.out, [f"{IMAGES}/{file}" for file in shown])
        if not said:
            return
        gone = []
        for row in self.accepted():
            why = said.get(f"{IMAGES}/{row['file']}")
            if why:
                gone += [self.out / folder / row["file"] for folder in FOLDERS]
                row |= {"file": None, "reason": why, "objects": []}
        self.count = len(self.accepted())
        part = self.out / f".{TRIES}.part"
        with self._careful(part):
            part.write_text("".join(f"{_line(row)}\n" for row in (head, *self._rows)), encoding="utf-8")
            part.replace(self.out / TRIES)
            for file in gone:
                file.unlink(missing_ok=True)

    @contextmanager
    def _careful(self, place: Path) -> Iterator[None]:
        """Say what to do where the disk does not take a file."""
        try:
            yield
        except OSError as error:
            what = f"{place} cannot be written ({error.strerror or error})"
            do = "make room and give the same command again: what is finished is kept"
            raise ReadError(self.who, what, do=do) from error

    def save(self, file: str, image: Array, mask: Array) -> None:
        """Write a picture and its mask as PNG.

        Raises:
            ReadError: the disk does not take them.
        """
        import cv2

        white = mask.astype(bool, copy=False).view(np.uint8) * np.uint8(255)
        shown = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        for folder, pixels, filtered in (
            (IMAGES, shown, cv2.IMWRITE_PNG_FILTER_AVG), ("masks", white, cv2.IMWRITE_PNG_FILTER_NONE)
        ):  # fmt: skip
            # 2.3 ms for 256 px in color, where level 1 with the default filters takes 4.0; .15 for a mask
            fast = (
                cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
                cv2.IMWRITE_PNG_FILTER, filtered,
            )  # fmt: skip
            place = self.out / STAGED / folder / file
            with self._careful(place):
                place.write_bytes(memoryview(cv2.imencode(".png", pixels, fast)[1]))  # type: ignore[arg-type]

    def load(self, file: str) -> Array:
        """Return an accepted picture.

        Raises:
            ReadError: it is gone or broken.
        """
        import cv2

        try:
            found = cv2.imdecode(np.fromfile(self._place(IMAGES, file), np.uint8), cv2.IMREAD_UNCHANGED)
        except (OSError, cv2.error):
            found = None
        if found is None:
            raise ReadError(self.who, f"the accepted picture {file} cannot be read", do="name a new folder")
        pixels = np.asarray(found)
        return pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))

    def add(self, row: dict[str, Any]) -> None:
        """Note one try."""
        self._rows.append(row)
        self._waiting.append(_line(row))
        self.tried += 1
        self.next = row["index"] + 1
        self.count += not row["reason"]

    def flush(self) -> None:
        """Write the noted tries to disk.

        Raises:
            ReadError: the disk does not take them; those of this batch are tried again by the next call.
        """
        with self._careful(self.out / TRIES), (self.out / TRIES).open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in self._waiting))
        self._waiting.clear()

    def labels(self, classes: Sequence[str]) -> None:
        """Write the labels of the accepted pictures in every usual form, and the manifest that people veto in.

        Raises:
            ReadError: the disk does not take them.
        """
        rows = self.accepted()
        with self._careful(self.out):
            for folder in FOLDERS:
                for file in (self.out / STAGED / folder).iterdir():
                    file.replace(self.out / folder / file.name)
            write_labels(self.out, rows, classes)
            write_class_folders(self.out, rows)
            write_manifest(self.out, [{**row, "file": f"{IMAGES}/{row['file']}"} for row in rows])

    def accepted(self) -> list[dict[str, Any]]:
        """Return the accepted tries in order."""
        return [row for row in self._rows if not row["reason"]]

    def reasons(self) -> dict[str, int]:
        """Return reason to number of rejected tries, the most frequent first."""
        return dict(Counter(row["reason"] for row in self._rows if row["reason"]).most_common())
