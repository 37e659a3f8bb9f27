"""Questions go to Label Studio as tasks, the most urgent first; annotations come back with who, when and how long."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from scarce import progress
from scarce.errors import DataError
from scarce.io.label_studio import ID
from scarce.label_studio import task as tasks
from scarce.label_studio._server import WHO, NobodyThereError, Server, UnansweredError
from scarce.loop.answering import ASIDE, COMMENT, OBJECTS, RIGHT, UNSURE, Answer, Frozen, freeze, say
from scarce.loop.asking import KINDS, LABEL, Question, questions

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

BATCH_BYTES: Final = 4_000_000
"""A request carries about so many bytes at most."""
BATCH: Final = 50
AT_ONCE: Final = 4


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        place: address of the project in Label Studio.
        sent: tasks that are new there.
        there: tasks that were there already.
    """

    place: str
    sent: int
    there: int


@dataclass(frozen=True)
class Pulled:
    """What a pull brought.

    Attributes:
        annotations: that were new.
        known: that were here already.
        strange: about samples that are not in this project, with classes that it does not have, or unreadable.
        frozen: what they became.
    """

    annotations: int
    known: int
    strange: int
    frozen: Frozen


def push(
    project: Project, server: Server, *, title: str = "", kinds: Collection[str] = KINDS, pictures: str = ""
) -> Pushed:
    """Send the questions that wait as tasks, in the order of the queue, with suggestions as predictions.

    A task that is there already is not sent again, even if an earlier push was killed or the server answered too late.

    Args:
        project: whose queue it is.
        server: where they go.
        title: of the project there; "" = the project's name. It is made if there is none.
        kinds: of questions, see :data:`scarce.loop.asking.KINDS`.
        pictures: address in front of each file's name; "" = files travel inside the tasks.

    Raises:
        UnansweredError: the server does not answer; what was sent stays, and the next push goes on.
        DataError: there is nothing to send, or the server refuses it.
    """
    ds = project.dataset()
    waiting = _once_each(questions(project, ds, kinds))
    number = _project(server, _title(project, title), tasks.config_of(ds))
    there = {sample for _, sample in _listed(server, number)}
    todo = [item for item in waiting if item.sample not in there]
    sent, model = 0, tasks.model_name(project)
    progress.report("push to Label Studio", 0, len(todo))
    for batch in _batches(tasks.task_of(ds, item, model=model, pictures=pictures) for item in todo):
        _import(server, number, batch)
        sent += len(batch)
        progress.report("push to Label Studio", sent, len(todo))
    return Pushed(f"{server.url}/projects/{number}", sent, len(waiting) - len(todo))


def pull(project: Project, server: Server, *, title: str = "", truth: str = "newest") -> Pulled:
    """Bring back what people annotated, and make a version of it; what is here already is not brought twice.

    Args:
        project: where it goes.
        server: where it comes from.
        title: of the project there; "" = the project's name.
        truth: how several annotations become one label, see :data:`scarce.loop.answering.TRUTHS`.

    Raises:
        UnansweredError: the server does not answer; nothing was changed.
        DataError: there is no such project in Label Studio.
    """
    name = _title(project, title)
    number = _find(server, name)
    if number is None:
        raise DataError(WHO, f"there is no project {name!r} at {server.url}", do="push to it first")
    people = {person["id"]: person["email"] or str(person["id"]) for person in server.get("/api/users/")}
    found = list(_annotations(server, number))
    with project.store.locked():
        ds = project.dataset()
        known = {(row["sample"], row["voter"], row["at"]) for row in project.state.annotations()}
        waiting = {item.sample: item for item in questions(project, ds)[::-1]}
        here = set(ds.ids.tolist())
        answers: list[Answer] = []
        strange = new = 0
        for sample, note in sorted(found, key=lambda pair: str(pair[1]["updated_at"])):
            own = _answers(sample, note, people, waiting.get(sample), ds) if sample in here else []
            strange += not own
            if own and (sample, own[0].voter, own[0].at) not in known:
                answers += own
                new += 1
        say(project, answers)
    return Pulled(new, len(found) - strange - new, strange, freeze(project, truth=truth))


def _answers(
    sample: str, note: Mapping[str, Any], people: Mapping[int, str], asked: Question | None, ds: Dataset
) -> list[Answer]:
    """Return an annotation as answers; none where its class is none of ours, or a region is broken."""
    try:
        said = tasks.said_in(note["result"])
    except (ValueError, TypeError, KeyError, IndexError):
        return []
    if said.label is not None and said.label not in ds.schema.classes:
        return []
    who: Any = note.get("completed_by")
    base = Answer(
        number=None if asked is None else asked.number, sample=sample, verdict=UNSURE, label=None,
        voter=people.get(who, str(who)) if not isinstance(who, Mapping) else str(who.get("email") or who.get("id")),
        seconds=note.get("lead_time"), reason="" if asked is None else asked.reason, at=str(note["updated_at"]),
    )  # fmt: skip
    more = []
    if said.objects:
        more.append(replace(base, verdict=OBJECTS + json.dumps(said.objects, ensure_ascii=False), seconds=None))
    if said.comment:
        more.append(replace(base, verdict=COMMENT + json.dumps(said.comment, ensure_ascii=False), seconds=None))
    if note.get("was_cancelled") or said.verdict == UNSURE or (said.label is None and not more and not said.verdict):
        return [base, *more]
    if said.verdict == ASIDE:
        return [replace(base, verdict=ASIDE), *more]
    if said.label is None:
        return more
    kept = asked is not None and asked.kind != LABEL and said.label == asked.label
    return [replace(base, verdict=RIGHT if kept else "label", label=said.label), *more]


def _import(server: Server, number: int, batch: list[dict[str, Any]]) -> None:
    """Send tasks; where no answer comes, look which of them arrived before sending the others again."""
    for left in reversed(range(server.tries)):
        try:
            server.post(f"/api/projects/{number}/import", batch, again=False)
            return
        except NobodyThereError:
            raise
        except UnansweredError:
            if not left:
                raise
            arrived = {sample for _, sample in _listed(server, number)}
            batch = [item for item in batch if item["meta"][ID] not in arrived]
            if not batch:
                return


def _listed(server: Server, number: int) -> Iterator[tuple[int, str]]:
    """Yield number and sample of every task of ours in a project."""
    for item in server.pages("/api/tasks", "tasks", project=number, include="id,meta"):
        sample = (item.get("meta") or {}).get(ID)
        if sample:
            yield int(item["id"]), str(sample)


def _annotations(server: Server, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield sample and annotation, skipped ones too, without fetching the pictures of the tasks again."""
    listed = server.pages("/api/tasks", "tasks", project=number, fields="all", include="id,meta,annotations")
    todo = [
        (int(note["id"]), str(item["meta"][ID]))
        for item in listed if (item.get("meta") or {}).get(ID) for note in item.get("annotations") or ()
    ]  # fmt: skip
    with ThreadPoolExecutor(AT_ONCE) as pool:
        notes = pool.map(lambda item: server.get(f"/api/annotations/{item[0]}/"), todo)
        told = progress.track(notes, "pull from Label Studio", total=len(todo))
        yield from zip((sample for _, sample in todo), told, strict=True)


def _title(project: Project, title: str) -> str:
    return (title or f"scarce {project.name}")[:50]


def _find(server: Server, title: str) -> int | None:
    found = [item for item in server.pages("/api/projects/", "results", title=title) if item["title"] == title]
    return int(min(item["id"] for item in found)) if found else None


def _project(server: Server, title: str, config: str) -> int:
    number = _find(server, title)
    if number is None:
        try:
            number = int(server.post("/api/projects/", {"title": title, "label_config": config}, again=False)["id"])
        except UnansweredError:
            number = _find(server, title)
            if number is None:
                raise
    return number


def _once_each(waiting: Iterable[Question]) -> list[Question]:
    """Return the most urgent question about each sample."""
    first: dict[str, Question] = {}
    for item in waiting:
        first.setdefault(item.sample, item)
    if not first:
        raise DataError(WHO, "no question waits", do="scarce label or scarce review puts some into the queue")
    return list(first.values())


def _batches(items: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for item in items:
        own = sum(len(value) for value in item["data"].values() if isinstance(value, str))
        if batch and (len(batch) >= BATCH or size + own > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += own
    if batch:
        yield batch
