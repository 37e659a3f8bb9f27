"""The whole way with the real server in a process of its own: predict, feedback, queue, collect, train, promote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scarce.cli import main
from scarce.lineage import digest
from scarce.project import Project

if TYPE_CHECKING:
    from conftest import Line

for _module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
    pytest.importorskip(_module)
pytestmark = pytest.mark.slow


def post(url: str, body: bytes, kind: str) -> Any:
    """Send a body and return what the JSON of the answer says."""
    request = urllib.request.Request(url, body, {"content-type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_predict_feedback_queue_collect_train_promote(
    line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the server answers on, what it answered becomes a version, a challenger, and its judgement."""

    def call(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main([*words, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    folder = str(line.folder)
    server = subprocess.Popen(
        [sys.executable, "-m", "scarce", "serve", folder, "--port", "0", "--json"],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        part = [pair for pair in line.new if pair[1] != "Sandal"][:30]
        answers = [post(f"{url}/predict?source=camera-1", content, "image/png") for content, _ in part]
        assert [one["sample"] for one in answers] == [digest(content) for content, _ in part]
        rows = [{"request": one["request"], "label": label, "voter": "ann"}
                for one, (_, label) in zip(answers[:10], part, strict=False)]  # fmt: skip
        assert post(f"{url}/feedback", json.dumps(rows).encode(), "application/json")["kept"] == 10
        asked = call("queue", folder, "--budget", "12", "--export", str(tmp_path / "q.csv"))
        assert (asked["audit"], asked["frame"], asked["lost"]) == (2, 30, 0)
        with Project.open(line.folder) as project:
            assert line.label(project, tmp_path / "q.csv", line.truth.__getitem__) == asked["asked"]
        found = call("collect", folder)
        assert found["version"] is not None
        assert call("collect", folder)["version"] is None
        drawn = {row["sample"] for row in asked["rows"] if row["kind"] == "audit"}
        with Project.open(line.folder) as project:
            ds = project.dataset()
            assert set(ds["content_hash"][(ds["source"] == "production") & (ds["split"] == "test")]) == drawn
            assert {row["label"] == line.truth[row["sample"]] for row in project.state.feedback()} == {True}
        call("train", folder, "--model", "linear-probe")
        judged = call("promote", folder, code=1)
        assert sum(row["n"] for row in judged["evidence"] if row["source"] == "production") == 2
        call("promote", folder, "--override", "a test")
        again = post(f"{url}/predict", part[0][0], "image/png")
        assert again["sample"] == answers[0]["sample"]
    finally:
        server.terminate()
        assert server.wait(30) == 0
