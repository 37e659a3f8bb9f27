from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scarce import _version, columns
from scarce._lance import MOST_FILES, spoken
from scarce._objects import STEPS_A_FILE, Objects
from scarce.dataset import Dataset, Schema
from scarce.errors import ConflictError, ContractError, StoreError, UnknownNameError
from scarce.lineage import Step
from scarce.store import Store

CLASSES = ("good", "stained", "torn")


def sample(n: int = 12, *, first: int = 0, **values: object) -> Dataset:
    ids = [f"s{i:04d}" for i in range(first, first + n)]
    given = {"id": ids, "uri": [f"{name}.png" for name in ids], "label": [CLASSES[i % 3] for i in range(n)], **values}
    return Dataset.from_columns(Schema(classes=CLASSES, normal_classes=("good",)), given)


def row(name: str) -> dict[str, list[str]]:
    return {"id": [name], "uri": [name], "label": ["torn"]}


def relabel(ds: Dataset, name: str, label: str) -> Dataset:
    labels = ds.table["label"].to_pylist()
    labels[int(ds.rows_of([name])[0])] = label
    return ds.with_columns({"label": labels})


def files(folder: Path) -> set[str]:
    return {item.relative_to(folder).as_posix() for item in folder.rglob("*") if item.is_file()}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "p" / ".scarce")


def test_side_files_are_read_and_let_go_of_in_one_thread(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = sample(4).with_findings("blur", [{"level": "sample", "members": ["s0001"], "score": 1.0, "why": "blurred"}])
    objects = Objects(store.folder / "side")
    ((_, name, _),) = objects.put_findings(ds.findings, ())
    data, threads = objects.get(name), list[int]()

    class Held(bytearray):
        def __del__(self) -> None:
            threads.append(threading.get_ident())

    monkeypatch.setattr(Objects, "get", lambda _self, _name: Held(data))
    for _ in range(300):
        assert objects.get_table(name, columns.FINDING).equals(ds.findings)
    assert threads == [threading.get_ident()] * 300


def test_a_version_brings_back_everything_but_wide_arrays(store: Store) -> None:
    ds = sample(
        4, **{"meta.Licht (°)": [1.5, None, 2.0, 3.0], "meta.a.b": ["x", "", None, "y"],
              "audit.blur.score": [0.5, None, 0, 1],
              "label_probs": [[0.2, 0.3, 0.5], None, [1, 0, 0], None], "meta.empty": [None] * 4},
    )  # fmt: skip
    ds = ds.with_columns({"embedding.x": np.zeros((4, 2))})
    ds = ds.with_findings("blur", [{"level": "sample", "members": ["s0001"], "score": 1.0, "why": "blurred"}])
    ds = ds.with_findings("pair", [{"level": "pair", "members": ["s0001", "s0002"], "score": 0.5, "why": None}])
    vote = {
        "sample": "s0000",
        "voter": "ann",
        "kind": "human",
        "label": None,
        "prob": 0.5,
        "when": None,
        "seconds": 1.0,
    }
    ds = replace(ds, votes=pa.Table.from_pylist([vote], schema=columns.VOTE))
    ds = ds.with_step(Step(stage="io", params={"path": "x"}).stamped(seconds=1.0)).with_step(Step(stage="audit"))
    name = store.commit(ds.take(np.array([3, 1, 0, 2])), parent=None, message="first", owner="io")
    again = Store(store.folder).open(name)
    assert again.table.equals(ds.table)
    assert again.schema == ds.schema
    assert again.findings.equals(ds.findings)
    assert again.votes.equals(ds.votes)
    assert [step.step_id for step in again.steps] == [step.step_id for step in ds.steps]
    assert not again.wide
    store.verify()
    version = store.version(name)
    assert (version.name, version.parent, version.message, version.owner, version.rows) == (
        "v1",
        None,
        "first",
        ("io",),
        4,
    )


def test_the_stored_content_id_is_that_of_the_data(store: Store) -> None:
    one = store.commit(sample(), parent=None)
    two = store.commit(relabel(store.open(), "s0003", "torn"), parent=one)
    back = store.restore(one)
    ids = {version.name: version.content_id for version in store.log()}
    assert ids[one] == ids[back] != ids[two]


def test_changed_columns_are_written_and_the_rest_is_shared(store: Store) -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    ids = [f"{i:016x}" for i in rng.permutation(n)]
    ds = Dataset.from_columns(
        Schema(classes=CLASSES), {"id": ids, "uri": [f"{i}.jpg" for i in ids], "label": ["good"] * n}
    )
    head = store.commit(ds, parent=None)
    first = store.size()["bytes"]
    for turn in range(3):
        head = store.commit(relabel(store.open(), store.open().ids[turn], "torn"), parent=head)
    assert (store.size()["bytes"] - first) / 3 < n  # under a byte a row and version
    head = store.commit(store.open().with_columns({"audit.blur.score": rng.random(n)}), parent=head, owner="audit")
    for version in store.log():
        store.verify(version.name)
    assert store.diff("v1", "v4").relabeled == tuple((name, "good", "torn") for name in sorted(ids)[:3])


def test_a_version_never_lies_in_many_files(store: Store) -> None:
    head = store.commit(sample(), parent=None)
    for turn in range(MOST_FILES + 4):
        scores = np.full(12, turn / 100)
        head = store.commit(store.open().with_columns({f"audit.c{turn}.score": scores}), parent=head, owner="audit")
        assert len(store._table.open().get_fragments()[0].metadata.files) <= MOST_FILES
    ds = store.open()
    assert [float(ds[f"audit.c{turn}.score"][0]) for turn in (0, 7, 15)] == pytest.approx([0.0, 0.07, 0.15])
    store.verify()


def test_the_store_stays_bounded_over_two_hundred_commits(store: Store) -> None:
    n = 2000
    head = store.commit(sample(n).with_step(Step(stage="io")), parent=None)
    names = store.open().ids
    for turn in range(199):
        ds = relabel(store.open(), names[turn * 7], "torn" if turn % 2 else "stained")
        head = store.commit(ds.with_step(Step(stage="clean", params={"turn": turn})), parent=head, owner="clean")
    size = store.size()
    assert size["versions"] == 200
    assert size["bytes_per_row_and_version"] < 25
    assert len(store.open().steps) == 200
    assert len(list(store.objects.folder.iterdir())) <= 200
    gone = store.prune(keep=5)
    assert len(gone) == 195
    assert store.size()["bytes"] < size["bytes"] / 10
    for version in store.log():
        store.verify(version.name)
    assert len(store.open().steps) == 200


def test_a_stale_parent_is_refused(store: Store) -> None:
    one = store.commit(sample(), parent=None)
    store.commit(relabel(store.open(), "s0001", "torn"), parent=one)
    with pytest.raises(ConflictError, match="main has moved from v1 to v2"):
        store.commit(relabel(store.open(one), "s0002", "good"), parent=one)
    with pytest.raises(ConflictError, match="from nothing to v2"):
        store.commit(sample(), parent=None)
    assert store.head() == "v2"


def faster(store: Store, theirs: object, ours: object) -> tuple[Store, object]:
    """Return a store and a change during whose first call another process commits ``theirs``."""
    other = Store(store.folder)
    calls = []

    def change(ds: Dataset) -> Dataset:
        result = ours(ds)
        if not calls:
            other.commit(theirs(other.open()), parent=other.head(), message="theirs")
        calls.append(1)
        return result

    return store, change


def test_retry_keeps_both_of_two_appends_and_of_two_edits(store: Store) -> None:
    store.commit(sample(), parent=None)
    _, change = faster(store, lambda ds: ds.append(row("x1")), lambda ds: ds.append(row("x2")))
    assert store.commit_with_retry(change, owner="io") == "v3"
    assert {"x1", "x2"} <= set(store.open().ids)
    _, change = faster(store, lambda ds: relabel(ds, "s0001", "torn"), lambda ds: relabel(ds, "s0003", "torn"))
    store.commit_with_retry(change)
    labels = dict(zip(store.open().ids, store.open().table["label"].to_pylist(), strict=True))
    assert (labels["s0001"], labels["s0003"]) == ("torn", "torn")


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        (
            lambda ds: ds.append(row("x")),
            lambda ds: ds.append(row("x")),
            "1 samples were added by v2 as well, for example x",
        ),
        (
            lambda ds: relabel(ds, "s0001", "torn"),
            lambda ds: relabel(ds, "s0001", "good"),
            "label_probs of 1 of the same",
        ),
        (
            lambda ds: relabel(ds, "s0001", "torn"),
            lambda ds: ds.with_columns({"label_source": ["human"] * len(ds)}),
            "for example s0001",
        ),
        (
            lambda ds: ds.with_columns({"meta.light": [1] * len(ds)}),
            lambda ds: ds.append({**row("y"), "label": ["no such"]}),
            "no such",
        ),
    ],
)
def test_retry_says_why_two_changes_cannot_both_hold(store: Store, theirs: object, ours: object, message: str) -> None:
    store.commit(sample(), parent=None)
    _, change = faster(store, theirs, ours)
    with pytest.raises((ConflictError, ContractError), match=message):
        store.commit_with_retry(change)
    assert store.head() == "v2"
    assert store.version().message == "theirs"


def test_audit_scores_measured_at_once_do_not_clash_with_a_label(store: Store) -> None:
    store.commit(sample(), parent=None)
    _, change = faster(
        store, lambda ds: relabel(ds, "s0001", "torn"), lambda ds: ds.with_columns({"audit.x.score": [0.5] * len(ds)})
    )
    store.commit_with_retry(change, owner="audit")
    assert relabel(store.open(), "s0001", "torn").table.equals(store.open().table)


def test_restore_keeps_newer_versions(store: Store) -> None:
    one = store.commit(sample(), parent=None)
    two = store.commit(store.open().append(row("x")), parent=one, owner="io")
    three = store.restore(one)
    assert store.open(three).table.equals(store.open(one).table)
    assert "x" in store.open(two).ids
    assert store.version(three).restored == one
    assert [version.name for version in store.log()] == ["v3", "v2", "v1"]
    assert store.restore(two) == "v4"
    assert "x" in store.open().ids


def test_branches_do_not_touch_each_other(store: Store) -> None:
    one = store.commit(sample(), parent=None)
    store.branch("trial", one)
    assert store.head("trial") == one
    side = store.commit(relabel(store.open("trial"), "s0001", "torn"), parent=one, branch="trial")
    main = store.commit(relabel(store.open(), "s0002", "good"), parent=one)
    assert (store.head(), store.head("trial")) == (main, side)
    assert store.branches() == {"main": main, "trial": side}
    assert store.open("trial").table.equals(store.open(side).table)
    with pytest.raises(UnknownNameError, match="did you mean 'trial'"):
        store.head("trail")


def test_tags(store: Store) -> None:
    one = store.commit(sample(), parent=None)
    store.tag("gold-1.0", one)
    store.commit(relabel(store.open(), "s0001", "torn"), parent=one)
    assert store.tags() == {"gold-1.0": "v1"}
    assert store.open("gold-1.0").table.equals(store.open("v1").table)
    for name in ("gold-1.0", "v7", "main", "a b", "../x", ""):
        with pytest.raises(StoreError):
            store.tag(name)
    assert store.prune(keep=1) == []
    store.untag("gold-1.0")
    with pytest.raises(UnknownNameError, match="tag"):
        store.untag("gold-1.0")
    assert store.prune(keep=1) == ["v1"]
    assert [version.name for version in store.log()] == ["v2"]


def test_names_are_never_used_again(store: Store) -> None:
    head = store.commit(sample(), parent=None)
    for turn in range(3):
        head = store.commit(relabel(store.open(), "s0000", CLASSES[turn]), parent=head)
    store.prune(keep=1)
    assert store.commit(relabel(store.open(), "s0001", "torn"), parent=head) == "v5"


@pytest.mark.parametrize("half_gone", ["_transactions", "_versions", "data", None])
def test_a_pruning_that_was_killed_is_finished(store: Store, half_gone: str | None) -> None:
    head = store.commit(sample(), parent=None)
    for label in ("torn", "stained", "torn"):
        head = store.commit(relabel(store.open(), "s0000", label), parent=head)
    (store.folder / "writing").write_text("[1, 2]")
    if half_gone:
        place = store.folder / "data.lance" / half_gone
        by_age = sorted(place.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        by_age[1].unlink()  # of v2: later versions share data with v1
    again = Store(store.folder)
    assert again.recover()
    assert [version.name for version in again.log()] == ["v4", "v3"]
    for version in again.log():
        again.verify(version.name)


def test_a_pruning_killed_before_it_began_deletes_nothing(store: Store) -> None:
    head = store.commit(sample(), parent=None)
    store.commit(relabel(store.open(), "s0000", "torn"), parent=head)
    (store.folder / "writing").write_text("[1,")
    assert store.recover()
    assert [version.name for version in store.log()] == ["v2", "v1"]


def test_unknown_versions_and_an_empty_store(store: Store) -> None:
    assert store.head() is None
    assert store.log() == []
    assert store.size()["versions"] == 0
    with pytest.raises(StoreError, match="no version yet"):
        store.open()
    store.commit(sample(), parent=None)
    for name in ("v2", "v01x", "glod"):
        with pytest.raises(UnknownNameError, match="there is no version"):
            store.open(name)


def test_invariants_hold_at_commit(store: Store) -> None:
    one = store.commit(sample(), parent=None)
    ds = store.open()
    with pytest.raises(ContractError, match="audit changed label"):
        store.commit(relabel(ds, "s0001", "torn"), parent=one, owner="audit")
    with pytest.raises(ContractError, match="nothing_is_lost"):
        store.commit(ds.take(np.arange(3)), parent=one)
    assert store.log()[0].name == one
    before = files(store.folder)
    assert not any("writing" in name for name in before)


def test_what_a_killed_commit_left_is_removed(store: Store) -> None:
    head = store.commit(sample(), parent=None)
    clean = files(store.folder)
    data = store.folder / "data.lance"
    leavings = [data / "data" / "0101.lance", data / "_transactions" / "7-a6cbfde0-6f44-4b6a-9348-9b1f6dc9de96.txn",
                store.objects.folder / "x.parquet",
                store.objects.folder / "y.steps.123.part"]  # fmt: skip
    for path in leavings:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    assert not store.recover()  # nobody said that something was being written
    (store.folder / "writing").touch()
    assert store.recover()
    assert files(store.folder) == clean
    assert store.commit(relabel(store.open(), "s0001", "torn"), parent=head) == "v2"


def test_a_version_whose_tag_was_lost_gets_it_back(store: Store) -> None:
    head = store.commit(sample(), parent=None)
    store.commit(relabel(store.open(), "s0001", "torn"), parent=head)
    store._table.untag("v2")
    store._table.untag("v1")
    (store.folder / "writing").touch()
    assert store.recover()
    assert set(store._table.tags()) == {"v1", "v2"}
    assert store.open("v1").table["label"].to_pylist()[1] == "stained"


def test_damage_is_noticed(store: Store) -> None:
    ds = sample().with_findings("blur", [{"level": "sample", "members": ["s0001"], "score": 1.0, "why": "x"}])
    store.commit(ds, parent=None)
    part = next(store.objects.folder.glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match="changed or damaged"):
        store.open()
    part.unlink()
    with pytest.raises(StoreError, match="is missing"):
        store.open()


def test_sources_move_with_the_project_and_stay_where_they_are(tmp_path: Path) -> None:
    inside, outside = tmp_path / "here" / "p" / "photos", tmp_path / "elsewhere"
    inside.mkdir(parents=True)
    outside.mkdir()
    store = Store(tmp_path / "here" / "p" / ".scarce")
    store.commit(replace(sample(), sources={"a": str(inside), "b": str(outside)}), parent=None)
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = Store(tmp_path / "there" / "p" / ".scarce").open()
    assert moved.sources == {"a": str(tmp_path / "there" / "p" / "photos"), "b": str(outside)}
    shutil.move(tmp_path / "there" / "p" / ".scarce", tmp_path / "alone")
    assert Store(tmp_path / "alone").open().ids.tolist() == moved.ids.tolist()


def test_long_tables_are_kept_in_few_parts(store: Store) -> None:
    def votes(n: int) -> pa.Table:
        return pa.Table.from_pylist([{"sample": "s0000", "voter": f"p{i}", "kind": "human"} for i in range(n)],
                                    schema=columns.VOTE)  # fmt: skip

    head = None
    for n in (3, 4, 5, 6, 30, 31, 31, 40):
        head = store.commit(replace(sample(), votes=votes(n)), parent=head)
        assert store.open().votes.equals(votes(n))
    assert len(store.version().votes) <= 4
    store.commit(replace(sample(), votes=votes(2)), parent=head)
    assert store.open().votes.equals(votes(2))


def test_unchanged_findings_and_old_steps_are_not_written_again(store: Store) -> None:
    ds = sample().with_findings("blur", [{"level": "sample", "members": ["s0001"], "score": 1.0, "why": "x"}])
    head = store.commit(ds, parent=None)
    before = len(list(store.objects.folder.iterdir()))
    head = store.commit(relabel(store.open(), "s0001", "torn"), parent=head)
    assert len(list(store.objects.folder.iterdir())) == before + 1, "the step that says so, and nothing else"
    for turn in range(2 * STEPS_A_FILE + 3):
        head = store.commit(store.open().with_step(Step(stage="x", params={"turn": turn})), parent=head)
    steps = store.open().steps
    assert [step.params["turn"] for step in steps if step.stage == "x"] == list(range(2 * STEPS_A_FILE + 3))
    assert [step.name for step in steps if step.stage == "store"] == ["edit", "edit"], "values that no step explains"
    store.prune(keep=1)
    assert len(store.open().steps) == 2 * STEPS_A_FILE + 5
    assert len(list(store.objects.folder.glob("*.steps"))) == 3


def test_rows_of_zero_and_strange_types(store: Store) -> None:
    head = store.commit(sample(0), parent=None)
    ds = sample(3, **{"meta.none": pa.nulls(3), "meta.big": pa.array([2**63 + 5, 1, None], pa.uint64()),
                      "meta.list": [["a"], [], None],
                      "meta.cat": pa.array(["x", None, "x"]).dictionary_encode()})  # fmt: skip
    store.commit(ds, parent=head, owner="io")
    store.verify()
    assert store.open().table["meta.big"].to_pylist() == [2**63 + 5, 1, None]


def test_an_older_record_is_migrated_and_a_later_one_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(sample(), parent=None, message="old")
    monkeypatch.setattr(_version, "FORMAT", 2)
    monkeypatch.setattr(_version, "MIGRATIONS", (lambda body: {**body, "message": body["message"] + ", migrated"},))
    new = Store(store.folder)
    assert new.version().message == "old, migrated"
    new.commit(relabel(new.open(), "s0001", "torn"), parent="v1", message="new")
    assert [version.message for version in Store(store.folder).log()] == ["new", "old, migrated"]
    monkeypatch.setattr(_version, "FORMAT", 1)
    with pytest.raises(StoreError, match=r"v2 has format 2\. this scarce reads up to 1\. upgrade scarce"):
        Store(store.folder).open("v2")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "the disk is full"),
        (
            OSError("LanceError(IO): Generic LocalFileSystem error: No space left on device (os error 28), /x"),
            "the disk is full",
        ),
        (PermissionError(13, "Permission denied"), "cannot be written"),
        (OSError(30, "Read-only file system"), "cannot be written"),
        (ValueError("something else"), "something else"),
    ],
)
def test_what_the_disk_refuses_is_said_plainly(tmp_path: Path, error: Exception, message: str) -> None:
    with pytest.raises(StoreError, match=message), spoken(tmp_path):
        raise error
