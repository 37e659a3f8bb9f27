"""The pipeline for DVC: stage by stage in this process, and with the real DVC where it is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scarce import clean, lineage
from scarce.cli import main
from scarce.dataset import Dataset, Schema
from scarce.errors import DataError, ReadError, UnknownNameError
from scarce.project import Project
from scarce.provenance import functions_of, run_stage, write_pipeline

ROOT = Path(__file__).parents[2]


def more_versions(project: Project, own_steps: Path) -> None:
    """An own step and an edit by hand after read, split and clean."""
    own = functions_of(own_steps)
    project.change(lambda ds: ds.apply(own["drop_some"], share=0.2, seed=1), "own")
    ds = project.dataset()
    project.commit(ds.with_columns({"group": ["a"] * len(ds)}), "by hand")


def digest_of(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".gitignore")
    return {str(path.relative_to(folder)): lineage.digest(path.read_bytes()) for path in files}


def test_stages_give_what_the_versions_hold(project: Project, own_steps: Path, tmp_path: Path) -> None:
    more_versions(project, own_steps)
    place = tmp_path / "pipeline"
    stages = write_pipeline(project, place, functions=[own_steps])
    assert stages == ["v1_modality", "v2_split", "v3_clean", "v4_own", "v5_store"]
    body = yaml.safe_load((place / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert list(body) == stages
    assert body["v1_modality"]["deps"] == ["../photos"]
    assert body["v3_clean"]["deps"] == ["data/v2_split"]
    assert body["v4_own"]["deps"] == ["data/v3_clean", "../own_steps.py"]
    assert body["v5_store"]["deps"] == ["data/v4_own", "edits/v5_store"]
    own = functions_of(own_steps)
    for number, stage in enumerate(stages, start=1):
        ds = run_stage(place, stage, own)
        version = project.store.version(f"v{number}")
        kept = json.loads((place / "data" / stage / "dataset.json").read_text(encoding="utf-8"))
        counts = json.loads((place / "metrics" / f"{stage}.json").read_text(encoding="utf-8"))
        assert kept["content_id"] == counts["content_id"] == version.content_id
        assert ds.table.equals(project.dataset(version.name).table)
        assert counts["rows"] == sum(counts["classes"].values()) + counts["rows"] - counts["kept"]
    before = digest_of(place / "data")
    for stage in stages:
        run_stage(place, stage, own)
    assert digest_of(place / "data") == before, "the same data has the same bytes"


def test_what_cannot_be_run(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "pipeline"
    with pytest.raises(ReadError, match="no list of stages"):
        run_stage(place, "v1_modality")
    write_pipeline(project, place)
    with pytest.raises(UnknownNameError, match="did you mean 'v1_modality'"):
        run_stage(place, "v1_modalty")
    with pytest.raises(ReadError, match="run the stage before it first"):
        run_stage(place, "v2_split")
    with Project.init(tmp_path / "empty") as empty:
        empty.commit(Dataset.from_columns(Schema(), {"id": []}), "nothing")
        with pytest.raises(DataError, match="no step led to"):
            write_pipeline(empty, place)
    assert main(["export", "--dvc", "--run", "x"]) == 2
    assert "give one of" in capsys.readouterr().err


def find_dvc() -> str:
    named = os.environ.get("SCARCE_DVC")
    place = named or next((str(path) for path in [ROOT / ".venv-dvc" / "bin" / "dvc"] if path.is_file()), None)
    found = place or shutil.which("dvc")
    if not found or not shutil.which("git"):
        pytest.skip("DVC or git is not installed: make test-all installs DVC, or set SCARCE_DVC to the program")
    return found


class Repository:
    """A folder with git and DVC in it, and the commands to work there."""

    def __init__(self, folder: Path, dvc: str) -> None:
        self.folder, self.dvc = folder, dvc
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        who = {f"GIT_{role}_{what}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.env = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1", "HOME": str(folder.parent), **who}
        folder.mkdir()
        self("git", "init", "-q")
        self(dvc, "init", "-q")

    def __call__(self, *words: str) -> str:
        done = subprocess.run(words, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def keep(self, message: str) -> None:
        self("git", "add", "-A")
        self("git", "commit", "-qm", message)


@pytest.mark.slow
def test_real_dvc(project: Project, own_steps: Path, tmp_path: Path, pictures: dict[str, list[bytes]]) -> None:
    dvc = find_dvc()
    own = functions_of(own_steps)
    project.change(lambda ds: ds.apply(own["drop_some"], share=0.2, seed=1), "own")
    repo = Repository(tmp_path / "repo", dvc)
    stages = write_pipeline(project, repo.folder, functions=[own_steps])
    ran = repo(dvc, "repro")
    assert all(f"Running stage '{stage}'" in ran for stage in stages)
    repo.keep("as committed")
    metrics: Any = json.loads(repo(dvc, "metrics", "show", "--json"))
    shown = metrics[""]["data"][f"metrics/{stages[-1]}.json"]["data"]
    assert shown["content_id"] == project.store.version().content_id
    first = digest_of(repo.folder / "data")
    assert "didn't change, skipping" in repo(dvc, "repro"), "nothing is done twice"

    shutil.rmtree(repo.folder / "data" / stages[-1])
    repo(dvc, "checkout")
    assert digest_of(repo.folder / "data") == first, "dvc checkout brings the files back"

    params = json.loads((repo.folder / "params.json").read_text(encoding="utf-8"))
    step = params["stages"][stages[-1]][0]
    step["params"]["params"]["share"] = 0.6
    (repo.folder / "params.json").write_text(json.dumps(params), encoding="utf-8")
    ran = repo(dvc, "repro")
    assert f"Running stage '{stages[-1]}'" in ran
    assert f"Running stage '{stages[0]}'" not in ran
    repo.keep("more goes")
    second = digest_of(repo.folder / "data")
    assert second != first
    assert "share" in repo(dvc, "params", "diff", "HEAD~1")
    repo("git", "checkout", "-q", "HEAD~1")
    repo(dvc, "checkout")
    assert digest_of(repo.folder / "data") == first, "an older commit brings its own data back"

    (tmp_path / "photos" / "Coat" / "late.png").write_bytes(pictures["Coat"][19])
    ran = repo(dvc, "repro", stages[0])
    assert f"Running stage '{stages[0]}'" in ran, "a new file in a source is a change"
    rows = json.loads((repo.folder / "metrics" / f"{stages[0]}.json").read_text(encoding="utf-8"))["rows"]
    assert rows == len(project.dataset()) + 1
    assert clean.history(project.dataset())
