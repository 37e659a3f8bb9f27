from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import lineage
from scarce.cli import main
from scarce.dataset import Dataset
from scarce.errors import DataError
from scarce.project import Project
from scarce.provenance import functions_of, metadata


def brighten_weight(ds: Dataset, *, factor: float) -> Dataset:
    return ds.with_columns({"weight": np.where(ds["label"] == 0, factor, 1.0).astype(np.float32)})


def test_a_function_of_ones_own_is_recorded_like_ours(project: Project) -> None:
    before = project.dataset()
    version = project.change(lambda ds: ds.apply(brighten_weight, factor=2.0), "my weights")
    ds = project.dataset(version)
    step = ds.steps[-1]
    assert (step.stage, step.name, step.params["params"]) == ("own", "brighten_weight", {"factor": 2.0})
    assert step.params["function"].endswith("test_own:brighten_weight")
    assert "np.where(ds[" in step.params["source"]
    assert step.inputs["source"] == lineage.digest(step.params["source"])
    assert step.before == before.steps[-1].after != step.after
    assert list(step.wrote) == ["weight"]
    assert step.at
    assert {"python", "numpy", "scarce"} <= set(step.packages)
    assert (ds["weight"] == 2.0).sum() == (ds["label"] == 0).sum()


def test_what_it_may_not_do(project: Project) -> None:
    ds = project.dataset()
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: ds.apply(lambda _: None), "returned NoneType"),
        (lambda: ds.apply(brighten_weight, factor=np.float32(2)), "cannot be recorded"),
        (lambda: ds.apply(brighten_weight, factor=float("nan")), "cannot be recorded"),
        (lambda: ds.apply("brighten"), "cannot be called"),  # type: ignore[arg-type]
    ]
    for call, said in wrong:
        with pytest.raises(DataError, match=said):
            call()


def test_steps_inside_are_part_of_it(project: Project) -> None:
    def whole(ds: Dataset) -> Dataset:
        return ds.apply(brighten_weight, factor=3.0).apply(brighten_weight, factor=2.0)

    ds = project.dataset()
    assert [step.name for step in ds.apply(whole).steps[len(ds.steps) :]] == ["whole"]


def test_command_and_metadata(
    project: Project, own_steps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: object, code: int = 0) -> dict[str, Any]:
        assert main([*map(str, words), "--project", str(project.folder), "--json"]) == code
        return dict(json.loads(capsys.readouterr().out))

    done = call("apply", f"{own_steps}:drop_some", "--param", "share=0.5", "--seed", 4)
    assert done["version"] == "v4"
    assert (done["step"]["seed"], done["step"]["params"]["params"]) == (4, {"share": 0.5})
    assert set(done["step"]["wrote"]) == {"keep", "drop_reason"}
    assert "no function 'drop_sme'" in call("apply", f"{own_steps}:drop_sme", code=2)["error"]["what"]
    assert "is no Python file" in call("apply", f"{tmp_path}/none.py:x", code=2)["error"]["what"]
    out = tmp_path / "lineage.json"
    assert call("export", "--metadata", out)["steps"] == len(project.dataset().steps)
    body = json.loads(out.read_text(encoding="utf-8"))
    assert body == json.loads(json.dumps(metadata(project)))
    for before, after in zip(body["steps"], body["steps"][1:], strict=False):
        assert after["before"] == before["after"] != "", "every step begins where the one before ended"
        assert after["packages"]["python"]
    assert "give one of" in call("export", code=2)["error"]["do"]


def test_files_that_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n", encoding="utf-8")
    with pytest.raises(OSError, match="SyntaxError"):
        functions_of(tmp_path / "broken.py")
