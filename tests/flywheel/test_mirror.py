from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce.config import Config
from scarce.dataset import Dataset, Schema
from scarce.errors import ConflictError
from scarce.flywheel import rollback
from scarce.flywheel.mirror import mirror
from scarce.flywheel.promote import _clocks
from scarce.project import Project


def make(folder: Path, **settings: str) -> Project:
    """A project with two versions and two models that were champion one after the other."""
    made = Project.init(folder, config=Config().with_values("project", name="photos", **settings))
    ids = [f"s{i}" for i in range(20)]
    ds = Dataset.from_columns(Schema(classes=("good", "torn")), {"id": ids, "uri": ids, "label": ["good"] * 20})
    made.commit(ds, "first")
    made.change(lambda ds: ds.with_columns({"label": ["torn"] * 20}), "second")
    for name in ("v1-a", "v2-b"):
        (made.models / name).mkdir()
        (made.models / name / "card.json").write_text(json.dumps({"classes": ["good", "torn"]}))
    put(made, "v1-a", "v1", None)
    put(made, "v2-b", "v2", "v1-a")
    return made


def put(project: Project, model: str, version: str, was: str | None) -> None:
    project.state.move_aliases([{"name": "champion", "target": model, "version": version, "why": "better"}],
                               {"decision": f"promote {model}", "verdict": "promoted"},
                               expected={"champion": was})  # fmt: skip


@pytest.fixture
def client(tmp_path: Path) -> Any:
    """A client of a real registry in a file."""
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: make peers")
    url = f"sqlite:///{tmp_path / 'mlflow.db'}"
    return mlflow.MlflowClient(tracking_uri=url, registry_uri=url)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_registry_follows_and_catches_up(client: Any, tmp_path: Path) -> None:
    with make(tmp_path / "p", registry_url=f"sqlite:///{tmp_path / 'mlflow.db'}") as project:
        project.state.set_alias("challenger", "v1-a")
        assert mirror(project, seconds=120) == ""
        found = {one.tags["scarce.model"]: one for one in client.search_model_versions("name = 'photos'")}
        assert client.get_model_version_by_alias("photos", "champion").version == found["v2-b"].version
        assert client.get_model_version_by_alias("photos", "challenger").version == found["v1-a"].version
        assert found["v2-b"].source == (project.models / "v2-b").as_uri()
        project.state.set_alias("challenger", None)
        body = rollback(project)
        mirror(project, seconds=120)  # a busy machine may have been too slow for the first
        assert body["champion"] == "v1-a"
        aliases = client.get_registered_model("photos").aliases
        assert {name: str(number) for name, number in aliases.items()} == {"champion": str(found["v1-a"].version)}
        assert len(client.search_model_versions("name = 'photos'")) == 2  # nothing is registered twice


class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(3)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def slow() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://me:secret@127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_a_registry_that_is_slow_broken_or_missing_undoes_nothing(tmp_path: Path, slow: str) -> None:
    for number, url in enumerate((slow, "nonsense://x", f"sqlite:///{tmp_path}/no/where/m.db")):
        with make(tmp_path / f"p{number}", registry_url=url) as project:
            said = mirror(project, seconds=0.5)
            assert "brought up to date by the next promotion or rollback" in said
            assert "secret" not in said
            assert project.state.aliases() == {"champion": "v2-b"}


def test_without_a_registry_nothing_is_said(tmp_path: Path) -> None:
    with make(tmp_path / "p") as project:
        assert mirror(project) == ""


def test_a_rollback_that_was_killed_is_finished_and_goes_no_further_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(tmp_path / "p") as project:
        put(project, "v1-a", "v1", "v2-b")
        put(project, "v2-b", "v2", "v1-a")

        def killed(*_: Any, **__: Any) -> str:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Project, "restore", killed)
            with pytest.raises(KeyboardInterrupt):
                rollback(project)
        assert project.head == "v2"
    with Project.open(tmp_path / "p") as project:
        body = rollback(project)
        assert (body["champion"], body["restored"]) == ("v1-a", "v1")
        assert body["notes"]
        assert project.dataset().table["label"].to_pylist() == ["good"] * 20
        assert project.state.aliases() == {"champion": "v1-a"}
        assert len(project.state.ledger("promotions")) == 5


def test_of_two_rollbacks_at_once_none_goes_too_far(state_url: str, tmp_path: Path) -> None:
    more = {"state_url": state_url} if state_url.startswith("postgresql") else {}
    with make(tmp_path / "p", **more) as project:
        (project.models / "v2-c").mkdir()
        (project.models / "v2-c" / "card.json").write_text("{}")
        put(project, "v2-c", "v2", "v2-b")
    gate, told = threading.Barrier(2), list[str]()

    def work() -> None:
        with Project.open(tmp_path / "p") as own:
            own.state.aliases()
            gate.wait()
            try:
                told.append(rollback(own)["champion"])
            except ConflictError:
                told.append("refused")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Project.open(tmp_path / "p") as project:
        rows = [row for row in project.state.ledger("promotions") if row["verdict"] == "rolled back"]
        meant = project.state.aliases()["champion"]
    if "refused" in told:  # both had read the same champion
        assert (sorted(told), meant, len(rows)) == (["refused", "v2-b"], "v2-b", 1)
    else:  # one came after the other
        assert (sorted(told), meant, len(rows)) == (["v1-a", "v2-b"], "v1-a", 2)


def test_samples_of_the_future_are_told(tmp_path: Path) -> None:
    ids = ["a", "b"]
    times = np.array(["2001-01-01", "2222-01-01"], "datetime64[us]").tolist()
    ds = Dataset.from_columns(Schema(), {"id": ids, "uri": ids, "captured_at": times})
    assert "1 samples were taken later than now" in _clocks(ds)[0]
    assert _clocks(ds.take(np.array([0]))) == ()
