"""What every reader can do: say how sure it is about a path, and list the samples in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from scarce.dataset import Array, Dataset
from scarce.errors import DataError
from scarce.io._listing import Listing, to_dataset
from scarce.modality import raw
from scarce.modality._base import Raw
from scarce.registry import Plugin

if TYPE_CHECKING:
    from scarce.io._outlet import Outlet


@final
@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user said about a source; None = find out.

    Args:
        label: column of the label; ``""`` = there is none.
        group: column of the user's own groups; for folders ``stem``, ``parent`` or a pattern with one (group).
        split: column of the split; for folders ``given`` takes the folders' split even where it cannot be trained on.
        time: column of the time.
        text: column of the text.
        source: name of the source; by default the folder's or file's name.
    """

    label: str | None = None
    group: str | None = None
    split: str | None = None
    time: str | None = None
    text: str | None = None
    source: str | None = None

    def name_for(self, path: Path) -> str:
        """Return the name of the source at a path."""
        resolved = path.resolve()
        return self.source or (resolved.name if path.is_dir() else resolved.stem) or "data"


@dataclass(frozen=True, kw_only=True)
class AbstractReader(Plugin, ABC):
    """One file format or folder layout."""

    exact: ClassVar[bool] = False
    """Whether it knows its format by sure marks; such readers are asked first, and a 1 ends the search."""
    ending: ClassVar[str] = ""
    """Ending of the one file that it can write; empty = it writes folders only, or nothing."""
    writes: ClassVar[bool] = False
    """Whether it can write."""

    @abstractmethod
    def accepts(self, path: Path) -> float:
        """Return how sure the reader is that a path is its format: 0 = no, 1 = certain."""

    @abstractmethod
    def listing(self, path: Path, options: Options) -> Listing:
        """Return the samples at a path, without reading their content where it lies in files of its own.

        Raises:
            DataError: nothing can be read, or an option names something that is not there.
        """

    def write(self, out: Outlet) -> None:
        """Write all samples of an outlet; see :func:`scarce.io.write`.

        Raises:
            DataError: the format cannot hold such data.
        """
        what = f"{out.target} cannot be written: this format can only be read"
        raise DataError(f"io.{self.plugin_name()}", what, do="see docs/stages/io.md for the formats that can")

    def read(self, path: Path, options: Options) -> Dataset:
        """Return the dataset at a path; see :func:`scarce.io.read`."""
        return to_dataset(self.listing(path, options))

    def fetch(self, ds: Dataset, rows: Sequence[int] | Array) -> list[Raw]:
        """Return the undecoded content of some rows; see :func:`scarce.io.fetch`."""
        return raw.fetch(ds, rows)
