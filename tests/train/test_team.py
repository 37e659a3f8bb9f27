"""Several processes that train one model, started as a user starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scarce.errors import TrainError
from scarce.train._team import Team, team_of

SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
import conftest
from scarce import train
from scarce.execute.precision import exact
from scarce.train.finetune import Finetune
fold = conftest.fold.__wrapped__(Path(sys.argv[2]))
settings = json.loads(sys.argv[4])
out = Path(sys.argv[3])
with exact():  # bfloat16 rounds the gradients of each process for itself
    model = train.fit(fold, Finetune(network="small_convnext", **settings), seed=2, checkpoint=out / "state")
if train.is_main():
    model.save(out / "m")
(out / f"history-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(model.card["history"]))
"""
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo of Linux and macOS")
def test_two_processes_learn_what_one_does(garments: Path, tmp_path: Path) -> None:
    """A network without batch norm: the same steps up to the order of sums; mixing and dropped parts included."""
    from safetensors.numpy import load_file

    (tmp_path / "train.py").write_text(SCRIPT)
    settings = {"epochs": 2, "batch": 15, "mixup": 0.2, "augment": "light"}
    weights, histories = [], []
    for name, before in (("alone", ()), ("both", LAUNCH)):
        out = tmp_path / name
        out.mkdir()
        call = [sys.executable, *before, str(tmp_path / "train.py"), str(Path(__file__).parent), str(garments),
                str(out), json.dumps(settings)]  # fmt: skip
        environment = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE")}
        done = subprocess.run(call, env={**environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
                              check=False, timeout=500)  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        weights.append(load_file(out / "m" / "weights.safetensors"))
        histories.append([json.loads(path.read_text()) for path in sorted(out.glob("history-*.json"))])
    assert [len(found) for found in histories] == [1, 2]
    assert histories[1][0] == histories[1][1], "both went the same way"
    assert [row["loss"] for row in histories[1][0]] == pytest.approx([row["loss"] for row in histories[0][0]], rel=1e-5)
    for key, array in weights[0].items():
        np.testing.assert_allclose(weights[1][key], array, atol=1e-5, err_msg=key)


def test_shares_cover_a_step_and_small_steps_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 3):
        parts = [Team(place, size).share(10) for place in range(size)]
        assert [row for part in parts for row in range(10)[part]] == list(range(10))
    assert team_of("cpu", 1) == Team()
    monkeypatch.setenv("WORLD_SIZE", "8")
    with pytest.raises(TrainError, match="a step of 10 samples cannot be shared by 8 processes"):
        team_of("cpu", 10)
