"""``scarce study`` and ``scarce label spread`` on a project of real garments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scarce.cli import main
from tests.cli.conftest import make_project


@pytest.fixture(scope="module")
def project(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("study") / "p", photos)
