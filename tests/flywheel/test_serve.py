"""The real server in a process of its own, with real pictures of garments."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.flywheel.malformed import storm

from scarce.cli import main
from scarce.project import Project

for _module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
    pytest.importorskip(_module)
pytestmark = pytest.mark.slow
SEED = 0


@pytest.fixture(scope="module")
def made(garments: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """A project with two models, the first of which is @champion, and pictures that it has not seen."""
    base = tmp_path_factory.mktemp("serve")
    new: list[bytes] = []
    count: dict[str, int] = {}
    for row in pq.read_table(garments, columns=["image", "label", "split", "row"]).to_pylist():
        label, image = row["label"], row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"]
        if label not in {"Bag", "Coat", "Trouser"}:
            continue
        if row["split"] == "test" and len(new) < 40:
            new.append(image)
        elif row["split"] == "train" and count.get(label, 0) < 30:
            count[label] = count.get(label, 0) + 1
            place = base / "photos" / label
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{row['row']}.png").write_bytes(image)
    folder = base / "p"
    assert main(["init", str(folder), "--from", str(base / "photos"), "--quiet"]) == 0
    settings = folder / "scarce.toml"
    text = settings.read_text(encoding="utf-8").replace('#encoder = "auto"', 'encoder = "pixel"')
    text = text.replace("#normal_classes = []", 'normal_classes = ["Coat"]').replace("#mib = 16.0", "mib = 1.0")
    text = text.replace("#keep_images = false", "keep_images = true").replace("#megapixels = 50.0", "megapixels = 1.0")
    settings.write_text(text.replace("#seconds = 10.0", "seconds = 6.0"), encoding="utf-8")
    for words in (["split"], ["train", "--model", "linear-probe"], ["train", "--model", "prototype"]):
        assert main([words[0], str(folder), *words[1:], "--quiet"]) == 0
    with Project.open(folder) as project:
        names = sorted(card.parent.name for card in folder.glob(".scarce/models/*/card.json"))
        project.state.set_alias("champion", names[0], version="v2")
    return folder, new


class Server:
    """A server that runs."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scarce", "serve", str(folder), "--port", "0", "--json", *words],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        self.port = int(self.url.rpartition(":")[2])

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request(method, path, body, headers or {})
            answer = link.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if "json" in (answer.getheader("content-type") or "") else text
        finally:
            link.close()

    def say(self, rows: Any) -> tuple[int, Any]:
        return self.ask("POST", "/feedback", json.dumps(rows).encode(), {"content-type": "application/json"})


@pytest.fixture
def server(made: tuple[Path, list[bytes]]) -> Iterator[Server]:
    running = Server(made[0])
    yield running
    if running.process.poll() is None:
        running.process.kill()
    running.process.wait()


def form(contents: list[bytes], name: str) -> tuple[bytes, dict[str, str]]:
    parts = [f'--edge\r\nContent-Disposition: form-data; name="{name}"; filename="{k}.png"\r\n\r\n'.encode() + content
             + b"\r\n" for k, content in enumerate(contents)]  # fmt: skip
    return b"".join(parts) + b"--edge--\r\n", {"content-type": "multipart/form-data; boundary=edge"}


def test_an_answer_is_logged_kept_confirmed_and_counted(server: Server, made: tuple[Path, list[bytes]]) -> None:
    folder, new = made
    status, one = server.ask("POST", "/predict?source=camera-1", new[0])
    assert (status, one["class"] in {"Bag", "Coat", "Trouser"}) == (200, True)
    assert one["verdict"] in {"accept", "reject", "unknown", "ask"}
    assert server.ask("POST", "/predict", *form([new[0]], "file"))[1]["probability"] == one["probability"]
    status, many = server.ask("POST", "/predict/batch", *form([*new[:3], b"text", new[3][:200]], "files"))
    assert [entry.get("status") for entry in many["answers"]] == [None, None, None, 415, 422]
    with Project.open(folder) as project:
        (row,) = project.state.predictions(requests=[one["request"]])
        assert (row["label"], row["served_as"], row["source"]) == (one["class"], "champion", "camera-1")
        assert (row["sample"], row["model"], row["version"]) == (one["sample"], one["model"], "v2")
        assert sum(row["body"]["probabilities"].values()) == pytest.approx(1.0)
        alone = main(["predict", str(folder / ".scarce/models" / one["model"]), *_written(folder, new[0]), "-q"])
        assert alone == 0
    assert (folder / ".scarce/production" / one["sample"]).read_bytes() == new[0]
    status, said = server.say([{"request": one["request"], "confirm": True, "voter": "ann"},
                               {"request": many["answers"][0]["request"], "label": "Bag"},
                               {"request": "nobody", "label": "Bag"}])  # fmt: skip
    assert (status, said["kept"], len(said["refused"])) == (200, 2, 1)
    wish = json.dumps([{"request": one["request"], "label": "Sandal", "voter": "ben"}]).encode()
    said = server.ask("POST", "/feedback", wish, {"content-type": "application/json"})[1]
    assert "a new class is kept with ?new_classes=true" in said["refused"][0]["why"]
    wished = server.ask("POST", "/feedback?new_classes=true", wish, {"content-type": "application/json"})[1]
    assert (wished["kept"], wished["refused"]) == (1, [])
    text = server.ask("GET", "/metrics")[1].decode()
    assert 'scarce_feedback_total{outcome="refused"} 2.0' in text
    assert 'path="/predict",status="200"} 2.0' in text


def _written(folder: Path, content: bytes) -> list[str]:
    place = folder.parent / "one.png"
    place.write_bytes(content)
    return [str(place)]


def test_a_promotion_takes_over_without_a_restart_and_a_rollback_at_once(
    server: Server, made: tuple[Path, list[bytes]]
) -> None:
    folder, new = made
    first = server.ask("POST", "/predict", new[0])[1]["model"]
    with Project.open(folder) as project:
        (other,) = [card.parent.name for card in folder.glob(".scarce/models/*/card.json") if card.parent.name != first]
        project.state.set_alias("champion", other, version="v2")
        until = time.monotonic() + 30
        while server.ask("POST", "/predict", new[0])[1]["model"] != other:
            assert time.monotonic() < until
            time.sleep(0.05)
        project.state.set_alias("champion", first, version="v2")
        assert server.ask("POST", "/predict", new[0])[1]["model"] == first  # it was still in memory
        project.state.set_alias("champion", "gone", version="v2")
        assert server.ask("POST", "/predict", new[0])[1]["model"] == first
        until = time.monotonic() + 10
        while not server.ask("GET", "/ready")[1]["why"]:
            assert time.monotonic() < until
            time.sleep(0.05)
        project.state.set_alias("champion", first, version="v2")


def test_nothing_malformed_is_an_error_of_the_server(server: Server, made: tuple[Path, list[bytes]]) -> None:
    rng = np.random.default_rng(SEED)
    new = made[1]
    seen: set[int] = set()
    kinds = ("image/png", "application/json", "multipart/form-data", "text/plain; charset=\xff", "a/b",
             "multipart/form-data; boundary=" + "x" * 300, "application/octet-stream")  # fmt: skip
    for turn in range(150):
        content = bytearray(new[turn % len(new)])
        for _ in range(int(rng.integers(1, 40))):
            content[int(rng.integers(len(content)))] = int(rng.integers(256))
        cut = bytes(content[: int(rng.integers(len(content)))]) if turn % 3 == 0 else bytes(content)
        path = ("/predict", "/predict/batch", "/feedback", "/nothing")[turn % 4 if turn % 2 else 0]
        seen.add(server.ask("POST", path, cut, {"content-type": kinds[turn % len(kinds)]})[0])
    for text in ('[{"request": NaN}]', "[1e999]", '["\\ud800"]', '[{"request":"\\u0000"}]', "[" * 50_000, '{"a":1}',
                 '[{"request":"x","note":"' + "y" * 3000 + '"}]'):  # fmt: skip
        seen.add(server.ask("POST", "/feedback", text.encode(), {"content-type": "application/json"})[0])
    for _ in range(20):  # it may be refused, and the connection closed, before all of it was sent
        with suppress(BrokenPipeError, ConnectionResetError):
            seen.add(server.ask("POST", "/predict", bytes(2 << 20))[0])
            break
    seen.add(server.ask("GET", "/predict")[0])
    assert max(seen) < 500, seen
    assert {400, 404, 405, 413, 415, 422} <= seen
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
        link.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 4")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:  # a body that never comes
        link.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
        assert link.recv(100).startswith(b"HTTP/1.1 408")
    assert server.ask("POST", "/predict", new[0])[0] == 200


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.full)])
def test_a_storm_of_malformed_requests_costs_nothing(
    server: Server, made: tuple[Path, list[bytes]], count: int
) -> None:
    early, _ = storm(server.port, made[1], first=0, count=count // 4, threads=8)
    before = memory(server)
    late, longest = storm(server.port, made[1], first=count // 4, count=count - count // 4, threads=8)
    found = {status: early.get(status, 0) + late.get(status, 0) for status in {*early, *late}}
    assert sum(found.values()) == count
    assert not [status for status in found if status == "hang" or (status.startswith("5") and status != "503")], found
    assert found.get("503", 0) < count / 50, found  # of a busy machine, on which some answers come too late
    assert found.get("closed", 0) < count / 20, found
    assert {"200", "400", "404", "413", "415", "422"} <= set(found), found
    assert longest < 25
    assert memory(server) - before < 48e6
    assert server.ask("POST", "/predict", made[1][0])[0] == 200


def test_the_server_keeps_what_its_openapi_says(server: Server) -> None:
    pytest.importorskip("schemathesis")
    found = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--seed", "0",
         "--max-examples", "10", "--checks", "all", "--exclude-checks", "positive_data_acceptance", "--no-color",
         "--request-timeout", "20"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-4000:]


def memory(server: Server) -> float:
    text = server.ask("GET", "/metrics")[1].decode()
    found = re.search(r"^process_resident_memory_bytes ([\d.e+]+)", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_a_connection_that_says_nothing_whole_is_closed(server: Server) -> None:
    for begun in (
        b"",
        b"GET /health HTTP/1.1\r\nHost: local",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /h",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as link:
            link.sendall(begun)
            since = time.monotonic()
            while link.recv(1000):
                pass
            assert time.monotonic() - since < 12


def test_what_cannot_be_logged_is_not_answered(server: Server, made: tuple[Path, list[bytes]]) -> None:
    folder, new = made
    before = count(folder)
    lock = sqlite3.connect(folder / ".scarce/state.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    status, body = server.ask("POST", "/predict", new[0])
    assert (status, "no answer within 6 seconds" in body["detail"]) == (503, True)
    assert server.ask("GET", "/health")[0] == 200
    lock.execute("ROLLBACK")
    lock.close()
    assert server.ask("POST", "/predict", new[0])[0] == 200
    between = count(folder)
    assert between - before in {1, 2}  # the first may have been logged for nobody, never the other way round
    kept = folder / ".scarce/production"
    aside = kept.rename(kept.with_name("aside")) if kept.exists() else None
    kept.write_text("a file where a folder should be")
    status, body = server.ask("POST", "/predict", new[1])
    assert (status, "cannot be logged" in body["detail"]) == (503, True)
    kept.unlink()
    if aside is not None:
        aside.rename(kept)
    assert count(folder) == between
    assert server.ask("POST", "/predict", new[1])[0] == 200


def count(folder: Path) -> int:
    with Project.open(folder) as project:
        return len(project.state.predictions())


def test_kill_loses_no_feedback_that_was_accepted(made: tuple[Path, list[bytes]]) -> None:
    folder, new = made
    server = Server(folder)
    requests = [server.ask("POST", "/predict", content)[1]["request"] for content in new]
    accepted: list[str] = []

    def work(own: list[str]) -> None:
        for request in own:
            try:
                status, said = server.say([{"request": request, "label": "Bag", "voter": "killed"}])
            except (OSError, http.client.HTTPException):
                return
            if status == 200 and said["kept"]:
                accepted.append(request)

    threads = [threading.Thread(target=work, args=(requests[k::4],)) for k in range(4)]
    answered: list[str] = []
    threads += [threading.Thread(target=ask_on, args=(server, new[0], answered)) for _ in range(4)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while (len(accepted) < 10 or not answered) and time.monotonic() < until:
        time.sleep(0.002)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    for thread in threads:
        thread.join(30)
    with Project.open(folder) as project:
        kept = {row["request"] for row in project.state.feedback() if row["voter"] == "killed"}
        logged = {row["request"] for row in project.state.predictions()}
    assert len(accepted) >= 10
    assert set(accepted) <= kept
    assert answered
    assert set(answered) <= logged


def ask_on(server: Server, content: bytes, answered: list[str]) -> None:
    """Ask until nobody answers."""
    while True:
        try:
            status, said = server.ask("POST", "/predict", content)
        except (OSError, http.client.HTTPException):
            return
        if status == 200:
            answered.append(said["request"])


def test_a_stop_finishes_what_is_in_flight(made: tuple[Path, list[bytes]]) -> None:
    server = Server(made[0])
    found: list[int] = []

    def work() -> None:
        link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        link.putrequest("POST", "/predict")
        link.putheader("content-length", str(len(made[1][0])))
        link.endheaders()
        link.send(made[1][0][:50])
        time.sleep(1.0)
        link.send(made[1][0][50:])
        found.append(link.getresponse().status)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.5)
    server.process.send_signal(signal.SIGTERM)
    thread.join(30)
    assert found == [200]
    assert server.process.wait(20) == 0


def test_a_challenger_answers_unseen_or_a_share_of_the_samples(made: tuple[Path, list[bytes]]) -> None:
    folder, new = made
    settings = folder / "scarce.toml"
    before = settings.read_text(encoding="utf-8")
    with Project.open(folder) as project:
        champion = project.state.aliases()["champion"]
        (other,) = {card.parent.name for card in folder.glob(".scarce/models/*/card.json")} - {champion}
        project.state.set_alias("challenger", other)
    settings.write_text(before.replace("#shadow = false", "shadow = true").replace("#share = 0.0", "share = 0.4"))
    server = Server(folder)
    try:
        server.ask("POST", "/predict", new[0])
        until = time.monotonic() + 30
        while server.ask("GET", "/ready")[1]["challenger"] != other:
            assert time.monotonic() < until
            server.ask("POST", "/predict", new[0])
            time.sleep(0.05)
        first = [server.ask("POST", "/predict", content)[1] for content in new]
        again = [server.ask("POST", "/predict", content)[1] for content in new]
    finally:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        settings.write_text(before)
    share = sum(one["model"] == other for one in first)
    assert 5 <= share <= 30  # 40 samples, 0.4 of them expected
    assert [one["model"] for one in first] == [one["model"] for one in again]  # a sample stays with its model
    with Project.open(folder) as project:
        rows = {row["request"]: row for row in project.state.predictions()}
    for one in first:
        shadow = rows.get(f"{one['request']}-shadow")
        if one["model"] == champion:
            assert shadow is not None
            assert (shadow["served_as"], shadow["model"], shadow["sample"]) == ("shadow", other, one["sample"])
            assert shadow["body"]["of"] == one["request"]
        else:
            assert shadow is None
            assert rows[one["request"]]["served_as"] == "challenger"


def test_a_project_without_a_champion_and_a_host_without_a_token_are_told(
    tmp_path: Path, made: tuple[Path, list[bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    Project.init(tmp_path / "empty").close()
    assert main(["serve", str(tmp_path / "empty")]) == 2
    assert "there is no @champion" in capsys.readouterr().err
    assert main(["serve", str(made[0]), "--host", "0.0.0.0"]) == 2
    assert "there is no token" in capsys.readouterr().err
