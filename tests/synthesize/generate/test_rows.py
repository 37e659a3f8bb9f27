"""Rows of generated samples are made again from kept files; what changed or is gone is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scarce.errors import DataError, ReadError
from scarce.provenance._again import Scene, again
from scarce.synthesize import generate
from scarce.synthesize.generate.image_api import ImageApi

if TYPE_CHECKING:
    from conftest import Service
    from scarce.dataset import Dataset


def test_a_recorded_step_is_done_again_from_its_files(service: Service, parts: Dataset, tmp_path: Path) -> None:
    kind = ImageApi(base_url=service.url, model="tiny")
    made = generate.run(parts, kind, counts={"Bag": 3}, out=tmp_path / "g")
    asked, grown = len(service.calls), made.dataset
    step = grown.steps[-1]
    redone = again(parts, step, Scene(None, grown.sources))
    assert redone.table.equals(grown.table)
    assert len(service.calls) == asked
    moved = tmp_path / "moved"
    (tmp_path / "g").rename(moved)
    with pytest.raises(ReadError, match="cannot be read"):
        again(parts, step, Scene(None, grown.sources))
    sources = {**grown.sources, step.params["source"]: str(moved)}
    assert again(parts, step, Scene(None, sources)).table.equals(grown.table)
    next((moved / "images" / "train").iterdir()).write_bytes(b"another picture")
    with pytest.raises(DataError, match="not those that were generated"):
        again(parts, step, Scene(None, sources))
    with pytest.raises(DataError, match="nothing says"):
        again(parts, replace(step, params={}), Scene(None, sources))
