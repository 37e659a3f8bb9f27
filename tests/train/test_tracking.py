from __future__ import annotations

import csv
from pathlib import Path

import pytest

from scarce import train
from scarce.dataset import FoldView
from scarce.errors import UnknownNameError
from scarce.extras import available
from scarce.train.finetune import Finetune


def test_the_course_is_a_plain_file(fold: FoldView, tmp_path: Path) -> None:
    model = train.fit(fold, Finetune(epochs=2, batch=32, network="small_resnet"), checkpoint=tmp_path)
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in model.card["history"]]
    with pytest.raises(UnknownNameError, match="did you mean 'mlflow'"):
        train.tracking_of("mlflw")


@pytest.mark.skipif(not available("mlflow"), reason="needs the extra registry")
def test_the_course_is_a_run_of_mlflow(fold: FoldView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/runs.db")
    model = train.fit(fold, Finetune(epochs=2, batch=32, network="small_resnet"), tracking="mlflow")
    client = mlflow.MlflowClient()
    run = client.search_runs([client.get_experiment_by_name("scarce").experiment_id])[0]
    losses = [metric.value for metric in client.get_metric_history(run.info.run_id, "loss")]
    assert losses == pytest.approx([row["loss"] for row in model.card["history"]])
    assert run.data.params["network"] == "small_resnet"
