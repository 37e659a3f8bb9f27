"""A production line of real garments: a project with a champion, and pictures that it has not seen."""

from __future__ import annotations

import csv
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from scarce.cli import main
from scarce.flywheel._answering import Answering
from scarce.flywheel._deployed import Deployment
from scarce.flywheel._gather import Item
from scarce.lineage import digest
from scarce.loop import asking
from scarce.project import Project

WORN = {"Bag": 40, "Coat": 40, "Trouser": 12}


class Nobody:
    """Is told and says nothing."""

    def batch(self, size: int, seconds: float) -> None: ...
    def predicted(self, served_as: str, verdict: str) -> None: ...
    def dropped(self, count: int) -> None: ...
    def unlogged(self) -> None: ...


@dataclass
class Line:
    """A project whose champion answers.

    Attributes:
        folder: of the project.
        new: pictures that it has not seen, with what they show.
        truth: hash of each of them to its class.
    """

    folder: Path
    new: list[tuple[bytes, str]]
    truth: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.truth = {digest(content): label for content, label in self.new}

    def answer(self, contents: list[bytes]) -> list[str]:
        """Let the champion answer as the server does, and return the ids of the requests."""
        with Project.open(self.folder) as project:
            answering = Answering(project, Deployment(project, challenger=False, warm=lambda _: None), Nobody())
            items = [Item(request=uuid.uuid4().hex, content=one, sample=digest(one)) for one in contents]
            answering(items)
            assert [item.future.result()["request"] for item in items] == [item.request for item in items]
        return [item.request for item in items]

    def set(self, key: str, value: str) -> None:
        """Change a setting, whose line still has its default."""
        place = self.folder / "scarce.toml"
        lines = place.read_text(encoding="utf-8").splitlines()
        (at,) = [number for number, line in enumerate(lines) if line.startswith(f"#{key} = ")]
        lines[at] = f"{key} = {value}"
        place.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def label(self, project: Project, table: Path, say: Callable[[str], str | None], *, voter: str = "bob") -> int:
        """Fill in the table of questions with what ``say`` tells of each hash (None = no answer), and take it."""
        self.fill(project, table, say)
        heard = asking.read_answers(project, project.dataset(), table, voter=voter)
        asking.take(project, heard)
        return len(heard.said)

    @staticmethod
    def fill(project: Project, table: Path, say: Callable[[str], str | None], *, column: str = "new_label") -> None:
        """Write the questions as a table, and what ``say`` tells of each hash into a column."""
        ds = project.dataset()
        asking.write_questions(project, ds, table, (asking.LABEL,))
        hashes = dict(zip(ds.ids.tolist(), ds.table["content_hash"].to_pylist(), strict=True))
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        with table.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, asking.HEADS)
            out.writeheader()
            out.writerows({**row, column: say(hashes[row["sample"]]) or ""} for row in rows)

    @staticmethod
    def changed(content: bytes, brightness: int = 1) -> bytes:
        """Return the same picture a little brighter: other bytes, the same thing."""
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        return bytes(cv2.imencode(".png", cv2.add(picture, np.full_like(picture, brightness)))[1])


@pytest.fixture(scope="session")
def made_line(garments: Path, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The line as it was made; take a copy."""
    base = tmp_path_factory.mktemp("line")
    new: list[tuple[bytes, str]] = []
    count: dict[str, int] = {}
    for row in pq.read_table(garments, columns=["image", "label", "split", "row"]).to_pylist():
        label, image = row["label"], row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
        if row["split"] == "test" and label in {*WORN, "Sandal"}:
            new.append((image, label))
        elif row["split"] == "train" and count.get(label, 0) < WORN.get(label, 0):
            count[label] = count.get(label, 0) + 1
            place = base / "photos" / label
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{row['row']}.png").write_bytes(image)
    line = Line(base / "p", new)
    assert main(["init", str(line.folder), "--from", str(base / "photos"), "--quiet"]) == 0
    line.set("encoder", '"pixel"')
    line.set("keep_images", "true")
    line.set("normal_classes", '["Coat"]')
    for words in (["split"], ["train", "--model", "linear-probe"], ["train", "--model", "prototype"]):
        assert main([words[0], str(line.folder), *words[1:], "--quiet"]) == 0
    with Project.open(line.folder) as project:
        name = next(card.parent.name for card in line.folder.glob(".scarce/models/*linear*/card.json"))
        project.state.set_alias("champion", name, version=project.head)
    return line


@pytest.fixture
def line(made_line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    """A production line of one's own."""
    shutil.copytree(made_line.folder.parent, tmp_path / "line")
    capsys.readouterr()
    return Line(tmp_path / "line" / "p", made_line.new)


@pytest.fixture
def open_line(line: Line) -> Iterator[Callable[[], Project]]:
    """Open the project of the line; it is closed at the end."""
    opened: list[Project] = []

    def one() -> Project:
        opened.append(Project.open(line.folder))
        return opened[-1]

    yield one
    for project in opened:
        project.close()
