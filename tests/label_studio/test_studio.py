"""Against a real Label Studio server: what goes out comes back, with the same ids, and nothing twice."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scarce import io, modality
from scarce.config import Config
from scarce.io._brush import encode_brush
from scarce.io._regions import read_results
from scarce.label_studio import Server, pull, push
from scarce.label_studio.backend import serve
from scarce.label_studio.task import choice
from scarce.loop import asking
from scarce.loop.rounds import Loop, Plan, history
from scarce.project import Project

if TYPE_CHECKING:
    from conftest import Hidden

pytestmark = [pytest.mark.studio, pytest.mark.timeout(1500)]
ROOT = Path(__file__).parents[2]


def tasks_of(studio: Server, place: str) -> list[dict[str, Any]]:
    number = int(place.rpartition("/")[2])
    return list(studio.pages("/api/tasks", "tasks", project=number, fields="all"))


def annotate(studio: Server, task: dict[str, Any], result: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return dict(studio.post(f"/api/tasks/{task['id']}/annotations/", {"lead_time": 2.5, "result": result, **more}))


def test_a_round_of_choices(studio: Server, hidden: Hidden) -> None:
    project = hidden.project
    ds = project.dataset()
    Loop(project, Plan(initial=12)).go_on()
    waiting = asking.questions(project, project.dataset())
    first = push(project, studio, title="choices")
    assert (first.sent, first.there) == (12, 0)
    again = push(project, studio, title="choices")
    assert (again.sent, again.there, again.place) == (0, 12, first.place)
    tasks = tasks_of(studio, first.place)
    assert [task["meta"]["scarce_id"] for task in tasks] == [item.sample for item in waiting], "in the queue's order"
    assert all(task["data"]["image"].startswith("data:image/png;base64,") for task in tasks)
    for task in tasks[:8]:
        annotate(studio, task, [choice(ds, hidden.truth[task["meta"]["scarce_id"]])])
    annotate(studio, tasks[8], [], was_cancelled=True)
    strange = [{**choice(ds, "Bag"), "value": {"choices": ["Sofa"]}}]
    annotate(studio, tasks[9], strange)
    got = pull(project, studio, title="choices")
    assert (got.annotations, got.known, got.strange, got.frozen.labels) == (9, 0, 1, 8)
    ds = project.dataset()
    for task in tasks[:8]:
        row = int(ds.rows_of([task["meta"]["scarce_id"]])[0])
        assert ds.table["label"][row].as_py() == hidden.truth[str(ds.ids[row])]
        assert ds["label_source"][row] == "human"
    said = project.state.annotations()
    assert {(row["voter"], row["seconds"]) for row in said} == {("anna@example.com", 2.5)}
    assert history(project)[0]["unsure"] == 1
    assert len(asking.questions(project, ds)) == 3
    assert pull(project, studio, title="choices").annotations == 0
    note = studio.get(f"/api/tasks/{tasks[0]['id']}/annotations/")[0]
    other = next(name for name in ds.schema.classes if name != note["result"][0]["value"]["choices"][0])
    studio.call("PATCH", f"/api/annotations/{note['id']}/", {"result": [choice(ds, other)]})
    assert pull(project, studio, title="choices").annotations == 1, "a changed annotation is one more answer"
    ds = project.dataset()
    assert ds.table["label"][int(ds.rows_of([tasks[0]["meta"]["scarce_id"]])[0])].as_py() == other
    assert len(project.state.annotations()) == 10
    personal = Server(url=studio.url, token=studio.post("/api/token", {})["token"], timeout_seconds=120)
    assert pull(project, personal, title="choices").known == 9


def test_boxes_outlines_and_masks_keep_ids_and_shapes(studio: Server, hidden: Hidden) -> None:
    project = hidden.project
    Loop(project, Plan(initial=2)).go_on()
    one = asking.questions(project, project.dataset())[0].sample
    ds = project.dataset()
    garment = np.asarray(modality.open_samples(ds, ds.rows_of([one]))[0]) > 0
    objects = [
        {"label": "Bag", "bbox": [2, 3, 10, 12], "id": "a1"},
        {"label": "Trouser", "bbox": [4, 4, 8, 8], "segmentation": [[4, 4, 12, 4, 12, 12]], "id": "b2"},
        {"label": "Bag", **(read_results([{
            "id": "c3", "type": "brushlabels", "original_width": 28, "original_height": 28,
            "value": {"rle": encode_brush(garment), "brushlabels": ["Bag"]},
        }]).boxes or [])[0]},
    ]  # fmt: skip
    cells = [json.dumps(objects) if name == one else None for name in ds.ids]
    project.change(lambda ds: ds.with_columns({"meta.boxes": cells}), "boxes")
    place = push(project, studio, title="shapes").place
    task = next(item for item in tasks_of(studio, place) if item["meta"]["scarce_id"] == one)
    result = task["predictions"][0]["result"]
    text = {"id": "t", "type": "textarea", "from_name": "comment", "to_name": "image", "value": {"text": ["a fold"]}}
    annotate(studio, task, [*result, choice(ds, "Bag"), text])
    project.change(lambda ds: ds.with_columns({"meta.boxes": [None] * len(ds)}), "gone")
    assert pull(project, studio, title="shapes").annotations == 1
    ds = project.dataset()
    row = int(ds.rows_of([one])[0])
    assert json.loads(ds.table["meta.boxes"][row].as_py()) == objects
    assert ds.table["meta.comment"][row].as_py() == "a fold"
    assert ds.table["label"][row].as_py() == "Bag"
    code = (
        "import json, sys\nfrom label_studio_sdk.converter.brush import decode_rle\n"
        "print(json.dumps(decode_rle(json.load(sys.stdin)).reshape(28, 28, 4)[..., 3].tolist()))"
    )
    done = subprocess.run([ROOT / ".venv-studio/bin/python", "-c", code], input=json.dumps(encode_brush(garment)),
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert (np.array(json.loads(done.stdout.splitlines()[-1])) > 0).tolist() == garment.tolist()


def test_texts(studio: Server, tmp_path: Path) -> None:
    source = tmp_path / "texts.csv"
    source.write_text("text,label\n" + "".join(f"seam {i} is open,torn\nno fault number {i},good\n" for i in range(6)))
    with Project.init(tmp_path / "p", config=Config().with_values("encode", encoder="tfidf")) as project:
        ds = io.read(source)
        assert ds.schema.modality == "text"
        project.commit(ds.with_columns({
            "label": [None] * len(ds), "label_source": [None] * len(ds), "split": ["train"] * len(ds),
        }), "texts")  # fmt: skip
        Loop(project, Plan(initial=12)).go_on()
        tasks = tasks_of(studio, push(project, studio, title="texts").place)
        for task in tasks:
            annotate(studio, task, [choice(ds, "torn" if "open" in task["data"]["text"] else "good")])
        assert pull(project, studio, title="texts").frozen.labels == 12
        ds = project.dataset()
        texts = modality.open_samples(ds, np.arange(12))
        assert [ds.schema.classes[code] == "torn" for code in ds["label"]] == ["open" in text for text in texts]


@pytest.fixture
def forgetful(studio: Server) -> Iterator[tuple[Server, list[str]]]:
    """A way to the server that passes the first import on and then hangs up, as a broken line would."""
    dropped: list[str] = []

    class Line(BaseHTTPRequestHandler):
        def relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            head = {name: self.headers[name] for name in ("Content-Type", "Authorization") if self.headers[name]}
            request = urllib.request.Request(studio.url + self.path, body or None, head, method=self.command)
            with urllib.request.urlopen(request, timeout=120) as answer:
                code, data = answer.status, answer.read()
            if self.path.endswith("/import") and not dropped:
                dropped.append(self.path)
                self.close_connection = True
                return
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = relay  # noqa: N815 - the base class names them

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    line = ThreadingHTTPServer(("127.0.0.1", 0), Line)
    threading.Thread(target=line.serve_forever, daemon=True).start()
    yield Server(url=f"http://127.0.0.1:{line.server_port}", token=studio.token, timeout_seconds=120), dropped
    line.shutdown()
    line.server_close()


def test_an_answer_that_is_lost_on_the_way_sends_nothing_twice(
    forgetful: tuple[Server, list[str]], studio: Server, hidden: Hidden
) -> None:
    server, dropped = forgetful
    Loop(hidden.project, Plan(initial=5)).go_on()
    done = push(hidden.project, server, title="lost")
    assert dropped
    found = [task["meta"]["scarce_id"] for task in tasks_of(studio, done.place)]
    assert len(found) == len(set(found)) == 5


def test_the_backend_gives_predictions_in_our_order(studio: Server, hidden: Hidden, tmp_path: Path) -> None:
    project = hidden.project
    loop = Loop(project, Plan(initial=40, budget=6))
    loop.go_on()
    place = push(project, studio, title="backend").place
    assert all(not task["predictions"] for task in tasks_of(studio, place)), "no model yet"
    hidden.answer(tmp_path / "q.csv")
    served = serve(project, port=0)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    number = int(place.rpartition("/")[2])
    made = studio.post(
        "/api/ml", {"url": f"http://127.0.0.1:{served.server_port}", "project": number, "title": "scarce"}
    )  # fmt: skip
    assert made["readable_state"] == "Connected"
    assert made["model_version"] == f"scarce-{project.head}"
    action = f"/api/dm/actions?id=retrieve_tasks_predictions&project={number}"
    studio.post(action, {"selectedItems": {"all": True, "excluded": []}, "project": number})
    right = 0
    tasks = tasks_of(studio, place)
    for task in tasks:
        (found,) = task["predictions"]
        assert found["model_version"] == f"scarce-{project.head}"
        right += found["result"][0]["value"]["choices"] == [hidden.truth[task["meta"]["scarce_id"]]]
    assert right / len(tasks) > 0.9, "samples that the probe was fitted on"
    served.shutdown()
    served.server_close()


def test_a_wrong_token_and_a_project_that_is_not_there(studio: Server, hidden: Hidden) -> None:
    from scarce.errors import ConfigError, DataError

    Loop(hidden.project, Plan(initial=2)).go_on()
    with pytest.raises(ConfigError, match="does not accept the token"):
        push(hidden.project, Server(url=studio.url, token="0" * 40))
    with pytest.raises(DataError, match="no project 'never'"):
        pull(hidden.project, studio, title="never")
