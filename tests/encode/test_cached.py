"""What is known already needs no network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from scarce import encode, io, modality
from scarce.encode.pixel import Pixel


def test_no_session_is_opened_where_all_features_are_known(
    garments: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = modality.scan(io.read(garments).take(np.arange(12)))
    opened: list[str] = []

    @contextmanager
    def session(self: Pixel) -> Iterator[None]:
        opened.append(self.plugin_name())
        yield

    monkeypatch.setattr(Pixel, "session", session)
    first = encode.run(ds, "pixel", cache=tmp_path)
    assert opened == ["pixel"]
    again = encode.run(ds, "pixel", cache=tmp_path)
    assert opened == ["pixel"], "everything was known"
    np.testing.assert_array_equal(first["embedding.pixel"], again["embedding.pixel"])
