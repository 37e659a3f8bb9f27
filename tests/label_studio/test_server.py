"""Without Label Studio: servers that are down, slow or strange, tasks, and our backend over real HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from scarce.errors import ConfigError, DataError, ReadError
from scarce.io.boxes import decode_mask
from scarce.label_studio import Server, push, task
from scarce.label_studio.backend import serve
from scarce.loop import asking
from scarce.loop.rounds import Loop, Plan

if TYPE_CHECKING:
    from conftest import Hidden


def test_a_server_that_is_down_is_named_and_nothing_is_lost(hidden: Hidden) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{one.getsockname()[1]}"
    Loop(hidden.project, Plan(initial=3)).go_on()
    server = Server(url=url, token="x", tries=4, pause_seconds=30)  # a refused connection is not tried again
    with pytest.raises(ReadError, match=r"nobody answers at .*refused.*the same command goes on"):
        push(hidden.project, server)
    assert len(asking.questions(hidden.project, hidden.project.dataset())) == 3


def test_a_server_that_never_answers_takes_no_longer_than_allowed() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        server = Server(url=f"http://127.0.0.1:{silent.getsockname()[1]}", token="x", timeout_seconds=0.2, tries=4,
                        pause_seconds=0.01)  # fmt: skip
        started = time.monotonic()
        with pytest.raises(ReadError, match="timed out"):
            server.get("/api/projects/")
        assert 0.2 <= time.monotonic() - started < 0.8, "further tries are within the wish"


@pytest.fixture
def moody() -> Iterator[tuple[str, list[int], list[str]]]:
    """A server that answers with the codes of a list, one a request, and then with {}."""
    codes: list[int] = []
    asked: list[str] = []

    class Moods(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Authorization']}")
            code = codes.pop(0) if codes else 200
            self.send_response(code)
            self.end_headers()
            self.wfile.write(b"<html>" if code == 299 else b'{"detail": "because"}')

        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"access": "short"}')

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    served = ThreadingHTTPServer(("127.0.0.1", 0), Moods)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}", codes, asked
    served.shutdown()
    served.server_close()


def test_trouble_is_tried_again_and_refusals_are_not(moody: tuple[str, list[int], list[str]]) -> None:
    url, codes, asked = moody
    server = Server(url=url, token="plain", tries=3, pause_seconds=0.01)
    codes += [503, 502]
    assert server.get("/api") == {"detail": "because"}
    assert asked == ["/api Token plain"] * 3
    codes += [503, 503, 503]
    with pytest.raises(ReadError, match="in trouble"):
        server.get("/api")
    for code, kind, said in ((401, ConfigError, "token"), (404, DataError, "because"), (299, DataError, "no JSON")):
        asked.clear()
        codes[:] = [code]
        with pytest.raises(kind, match=said):
            server.get("/api")
        assert len(asked) == 1


def test_a_personal_token_is_exchanged_and_renewed(moody: tuple[str, list[int], list[str]]) -> None:
    url, codes, asked = moody
    server = Server(url=url, token="a.b.c")
    server.get("/one")
    codes += [401]
    server.get("/two")
    assert asked == ["/api/token/refresh", "/one Bearer short", "/two Bearer short", "/api/token/refresh",
                     "/two Bearer short"]  # fmt: skip


@pytest.mark.parametrize("bad", [{"url": "localhost"}, {"url": "file:///etc"}, {"token": " "}, {"tries": 0}])
def test_what_is_no_server_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Server(**{"url": "http://localhost", "token": "x", **bad})


def test_a_task_says_what_its_annotation_says(hidden: Hidden) -> None:
    Loop(hidden.project, Plan(initial=1)).go_on()
    asked = asking.questions(hidden.project, hidden.project.dataset())[0]
    objects = [
        {"label": "Bag", "bbox": [2, 3, 10, 12], "id": "a1"},
        {"label": "Trouser", "bbox": [4, 4, 8, 8], "segmentation": [[4, 4, 12, 4, 12, 12]], "id": "b2"},
        {"label": "Bag", "bbox": [0, 0, 28, 14], "segmentation": {"size": [28, 28], "counts": [0] + [14, 14] * 28},
         "id": "c3"},
    ]  # fmt: skip
    cells = [json.dumps(objects) if name == asked.sample else None for name in hidden.project.dataset().ids]
    ds = hidden.project.dataset().with_columns({"meta.boxes": cells})
    page = ET.fromstring(task.config_of(ds))
    task_sent = task.task_of(ds, asked, model="m")
    result = task_sent["predictions"][0]["result"]
    assert task_sent["data"]["scarce_id"] == task_sent["meta"]["scarce_id"] == asked.sample
    controls = {item.get("name"): item.get("toName") for item in page}
    assert all(controls[item["from_name"]] == item["to_name"] for item in result), "the page has each control"
    text = {"type": "textarea", "from_name": "comment", "to_name": "image", "value": {"text": ["a fold"]}}
    verdict = {"type": "choices", "from_name": task.VERDICT, "to_name": "image", "value": {"choices": ["unsure"]}}
    said = task.said_in([*result, task.choice(ds, "Bag"), text, verdict])
    assert (said.label, said.verdict, said.comment) == ("Bag", "unsure", "a fold")
    assert [item["bbox"] for item in said.objects] == [item["bbox"] for item in objects]
    assert [item["id"] for item in said.objects] == ["a1", "b2", "c3"]
    assert decode_mask(said.objects[2]["segmentation"])[:14].all()
    with pytest.raises(ValueError, match="original_width"):
        task.said_in([{**result[0], "original_width": None}])


def ask(url: str, body: object = None, data: bytes | None = None) -> tuple[int, Any]:
    sent = data if data is not None else None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, sent), timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_backend_serves_predictions_and_the_queue(hidden: Hidden, tmp_path: Path) -> None:
    project = hidden.project
    loop = Loop(project, Plan(initial=40, budget=5))
    loop.go_on()
    served = serve(project, port=0)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{served.server_port}"
    sample = str(project.dataset().ids[0])
    first = {"id": 1, "data": {"scarce_id": sample}}
    assert ask(f"{url}/health") == (200, {"status": "UP", "model_class": "scarce", "v2": False})
    assert ask(f"{url}/predict", {"tasks": [first]})[1]["results"][0]["result"] == [], "no model yet"
    hidden.answer(tmp_path / "q.csv")
    loop.go_on()
    code, setup = ask(f"{url}/setup", {"project": "1"})
    assert (code, setup) == (200, {"model_version": f"scarce-{project.head}"})
    waiting = asking.questions(project, project.dataset())
    assert [item["sample"] for item in ask(f"{url}/queue")[1]["queue"]] == [item.sample for item in waiting]
    tasks = [{"data": {"scarce_id": item.sample}} for item in waiting]
    found = ask(f"{url}/predict", {"tasks": [*tasks, {"data": {"scarce_id": "nobody"}}, {}]})[1]["results"]
    assert [item["score"] for item in found[:5]] == sorted(item["score"] for item in found[:5]), "the first asked first"
    assert [item["result"][0]["value"]["choices"] for item in found[:5]] == [[item.suggestion] for item in waiting]
    assert [item["result"] for item in found[5:]] == [[], []]
    assert ask(f"{url}/webhook", {"action": "ANNOTATION_CREATED"})[0] == 200
    assert ask(f"{url}/nowhere")[0] == 404
    assert ask(f"{url}/predict", data=b"{no json")[0] == 400
    assert ask(f"{url}/predict", [1])[0] == 400
    assert ask(f"{url}/predict", {"tasks": [7]})[0] == 400
    with pytest.raises(ConfigError, match="choose another --port"):
        serve(project, port=served.server_port)
    served.shutdown()
    served.server_close()
