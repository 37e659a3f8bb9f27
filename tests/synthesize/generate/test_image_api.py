from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scarce import invariant, modality
from scarce.errors import ConfigError, DataError, ReadError
from scarce.synthesize import generate
from scarce.synthesize.generate.image_api import ImageApi

if TYPE_CHECKING:
    from conftest import Service
    from scarce.dataset import Dataset

QUICK: dict[str, Any] = {"model": "tiny", "pause_seconds": 0.01, "timeout_seconds": 10.0}


def api(service: Service, **more: Any) -> ImageApi:
    return ImageApi(base_url=service.url, **{**QUICK, **more})


def test_pictures_from_words_become_rows_with_prompt_seed_and_model(
    service: Service, parts: Dataset, tmp_path: Path
) -> None:
    plugin = api(service, n=2, size="1024x1024", garments=("a shirt", "a coat"), damages=("a hole",), answer="b64_json")
    got = generate.run(parts, plugin, counts={"Bag": 5}, out=tmp_path / "g", seed=3)
    assert got.accepted == {"Bag": 5}
    assert not got.stopped
    sent = [call.body for call in service.calls]
    assert [body["n"] for body in sent] == [2, 2, 1]
    assert {body["size"] for body in sent} == {"1024x1024"}
    assert {body["response_format"] for body in sent} == {"b64_json"}
    assert "a shirt" in sent[0]["prompt"]
    assert "a coat" in sent[1]["prompt"]
    assert len({body["prompt"] for body in sent}) == 3
    assert all("Authorization" not in call.head for call in service.calls)
    ds = got.dataset
    rows = ds.rows_of(got.ids)
    assert set(ds["origin"][rows]) == {"synthetic"}
    assert set(ds["split"][rows]) == {"train"}
    assert set(ds.table["label"].take(rows).to_pylist()) == {"Bag"}
    assert set(ds["meta.garment"][rows]) == {"a shirt", "a coat"}
    assert set(ds["meta.prompt"][rows]) == {body["prompt"] for body in sent}
    assert set(ds["meta.model"][rows]) == {"tiny"}
    assert not invariant.invariants(ds, parts, "synthesize")
    assert [picture.shape for picture in modality.open_samples(ds, rows)] == [(48, 48, 3)] * 5
    assert ds.steps[-1].params["base_url"] == service.url
    train, test = (ds.ids[(ds["split"] == part) & (ds["origin"] == "real")] for part in ("train", "test"))
    assert set(got.ids) <= set(ds.fold(train, test).train.ids)


def test_rows_made_from_photos_are_hidden_where_a_photo_is_judged_on(
    service: Service, parts: Dataset, tmp_path: Path
) -> None:
    got = generate.run(parts, api(service, mode="edit"), counts={"Bag": 4}, out=tmp_path / "g")
    ds = got.dataset
    families = dict(zip(ds.ids, ds.table["parents"].to_pylist(), strict=True))
    judged = families[got.ids[0]]
    train = ds.ids[(ds["split"] == "train") & (ds["origin"] == "real") & ~np.isin(ds.ids, judged)]
    seen = set(ds.fold(train, judged).train.ids)
    assert {name in seen for name in got.ids if set(families[name]) & set(judged)} == {False}
    assert {name in seen for name in got.ids if not set(families[name]) & set(judged)} <= {True}


def test_a_real_photo_is_edited_inside_its_mask_only(service: Service, parts: Dataset, tmp_path: Path) -> None:
    got = generate.run(parts, api(service, mode="inpaint"), counts={"Bag": 3}, out=tmp_path / "g", seed=1)
    ds = got.dataset
    rows = ds.rows_of(got.ids)
    assert all(call.path.endswith("/images/edits") and set(call.files) == {"image", "mask"} for call in service.calls)
    for row, made in zip(rows, modality.open_samples(ds, rows), strict=True):
        (parent,) = ds.table["parents"][int(row)].as_py()
        at = ds.rows_of([parent])[0]
        assert ds["split"][at] == "train"
        assert ds.schema.classes[ds["label"][at]] == "Trouser"
        before = modality.open_samples(ds, [at])[0]
        changed = np.abs(made.astype(int) - np.asarray(before)[..., None]).max(axis=2) > 0
        mask = read_mask(tmp_path / "g" / ds["mask_uri"][row])
        assert mask.any()
        assert mask.mean() < 0.3
        assert (mask & ~changed).sum() == 0
        line = next(line for line in journal(tmp_path / "g") if line.get("mask") == ds["mask_uri"][row])
        x0, y0, x1, y1 = map(int, line["box"])
        assert mask[y0:y1, x0:x1].sum() == mask.sum()


def test_edit_without_mask_and_gemini(
    service: Service, parts: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret")
    plugin = api(service, mode="edit", protocol="gemini", key_env="MY_KEY")
    got = generate.run(parts, plugin, counts={"Bag": 2}, out=tmp_path / "g")
    call = service.calls[0]
    assert call.path == "/v1/models/tiny:generateContent"
    assert call.head["X-Goog-Api-Key"] == "s3cret"
    assert call.body["contents"][0]["parts"][0]["text"].startswith("Add Bag")
    assert got.accepted == {"Bag": 2}
    assert set(got.dataset["meta.revision"][got.dataset.rows_of(got.ids)]) == {"tiny-2"}
    kept = "".join(path.read_text("utf-8") for path in (tmp_path / "g").glob("*.jsonl"))
    assert "s3cret" not in kept + repr(plugin) + json.dumps(got.dataset.steps[-1].to_json())
    service.faults = ["blocked"]
    more = generate.run(parts, plugin, counts={"Bag": 3}, out=tmp_path / "g")
    assert more.accepted == {"Bag": 3}
    assert "SAFETY" in next(iter(more.rejected["Bag"]))


def test_pictures_by_address_are_fetched_without_the_key(
    service: Service, parts: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret")
    service.answer = "url"
    got = generate.run(parts, api(service, key_env="MY_KEY", answer="url"), counts={"Bag": 2}, out=tmp_path / "g")
    assert got.accepted == {"Bag": 2}
    posts, gets = ([call for call in service.calls if (call.body is None) == fetched] for fetched in (False, True))
    assert {call.head["Authorization"] for call in posts} == {"Bearer s3cret"}
    assert len(gets) == 2
    assert all("s3cret" not in str(call.head) for call in gets)


def test_busy_servers_are_asked_again_and_broken_answers_are_rejected(
    service: Service, parts: Dataset, tmp_path: Path
) -> None:
    service.faults = [429, 503, None, "broken base64", "hang up", "no json", None, "broken picture", 400, None]
    got = generate.run(parts, api(service), counts={"Bag": 3}, out=tmp_path / "g")
    assert got.accepted == {"Bag": 3}
    assert len(service.calls) == 10
    reasons = " ".join(got.rejected["Bag"])
    assert "base64 is broken" in reasons
    assert "broken picture" in reasons
    assert "ordered 400" in reasons
    assert got.spent["calls"] == 10


def test_a_server_that_fails_half_way_leaves_what_was_finished_and_the_same_call_goes_on(
    service: Service, parts: Dataset, tmp_path: Path
) -> None:
    service.faults = [None, None, *[500] * 3]
    plugin = api(service, tries=3)
    first = generate.run(parts, plugin, counts={"Bag": 4}, out=tmp_path / "g")
    assert first.failed
    assert "ordered 500" in first.stopped
    assert first.accepted == {"Bag": 2}
    assert any("2 of 4" in row["why"] for row in first.dataset.findings.to_pylist())
    second = generate.run(parts, plugin, counts={"Bag": 4}, out=tmp_path / "g")
    assert second.accepted == {"Bag": 4}
    assert second.ids[:2] == first.ids
    assert len(service.calls) == 5 + 2
    third = generate.run(second.dataset, plugin, counts={"Bag": 4}, out=tmp_path / "g")
    assert len(service.calls) == 7
    assert third.ids == second.ids
    assert len(third.dataset) == len(second.dataset)
    with pytest.raises(ConfigError, match="other settings: style"):
        generate.run(parts, replace(plugin, style="drawn"), counts={"Bag": 5}, out=tmp_path / "g")


def test_a_journal_that_was_cut_off_is_mended(service: Service, parts: Dataset, tmp_path: Path) -> None:
    generate.run(parts, api(service), counts={"Bag": 2}, out=tmp_path / "g")
    path = tmp_path / "g" / "journal.jsonl"
    path.write_text(path.read_text("utf-8") + '{"order": 2, "acc', "utf-8")
    got = generate.run(parts, api(service), counts={"Bag": 3}, out=tmp_path / "g")
    assert got.accepted == {"Bag": 3}
    assert len(service.calls) == 3


def test_budgets_end_it_and_count_over_sessions(service: Service, parts: Dataset, tmp_path: Path) -> None:
    plugin = api(service, most_calls=3)
    service.faults = [None, 503]
    got = generate.run(parts, plugin, counts={"Bag": 5}, out=tmp_path / "g")
    assert got.accepted == {"Bag": 2}
    assert "3 calls" in got.stopped
    assert not got.failed
    again = generate.run(parts, plugin, counts={"Bag": 5}, out=tmp_path / "g")
    assert len(service.calls) == 3
    assert again.accepted == {"Bag": 2}
    money = api(service, price=0.04, most_money=0.13, n=2)
    got = generate.run(parts, money, counts={"Bag": 9}, out=tmp_path / "m")
    assert got.accepted == {"Bag": 3}
    assert got.spent["money"] == pytest.approx(0.12)
    more = generate.run(parts, replace(money, most_money=0.2), counts={"Bag": 9}, out=tmp_path / "m")
    assert more.accepted == {"Bag": 5}


def test_it_goes_on_until_enough_are_accepted_or_too_many_rejected(
    service: Service, parts: Dataset, tmp_path: Path
) -> None:
    turn = iter(range(100))
    picky = generate.Limits(accept=lambda made, label: "too plain" if next(turn) % 3 else "")  # noqa: ARG005
    got = generate.run(parts, api(service), counts={"Bag": 3}, out=tmp_path / "g", limits=picky)
    assert got.accepted == {"Bag": 3}
    assert got.rejected == {"Bag": {"too plain": 4}}
    assert len(list((tmp_path / "g" / "rejected").iterdir())) == 4
    never = generate.Limits(accept=lambda made, label: "no", most_in_a_row=5)  # noqa: ARG005
    got = generate.run(parts, api(service), counts={"Bag": 3}, out=tmp_path / "n", limits=never)
    assert got.accepted == {"Bag": 0}
    assert got.stopped.startswith("5 samples were rejected; no (5)")


def test_every_combination_gets_as_many_as_asked(service: Service, parts: Dataset, tmp_path: Path) -> None:
    service.faults = [None, "broken base64"]
    plugin = api(service, garments=("shirt", "coat"), damages=("hole", "stain"), per_combination=2)
    got = generate.run(parts, plugin, counts={"Bag": 1}, out=tmp_path / "g")
    rows = got.dataset.rows_of(got.ids)
    pairs = list(zip(got.dataset["meta.garment"][rows], got.dataset["meta.damage"][rows], strict=True))
    assert sorted(pairs) == sorted([(g, d) for g in ("shirt", "coat") for d in ("hole", "stain")] * 2)


def test_nothing_is_sent_without_an_address_or_with_a_wrong_key(
    service: Service, parts: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(plugin: ImageApi) -> None:
        generate.run(parts, plugin, counts={"Bag": 1}, out=tmp_path / "g")

    with pytest.raises(ConfigError, match="nothing is sent anywhere unless you name an address"):
        run(ImageApi(model="tiny"))
    with pytest.raises(ConfigError, match="no address"):
        run(ImageApi(model="tiny", base_url="file:///etc"))
    monkeypatch.delenv("NO_KEY", raising=False)
    with pytest.raises(ConfigError, match="NO_KEY"):
        run(api(service, key_env="NO_KEY"))
    assert not service.calls
    service.faults = [401]
    with pytest.raises(ConfigError, match="does not accept the key"):
        run(api(service))
    service.faults = [307]
    with pytest.raises(ConfigError, match="no such service"):
        run(api(service))
    with pytest.raises(ReadError, match="no usable answer in 2 tries"):
        run(ImageApi(base_url="http://127.0.0.1:9/v1", tries=2, **QUICK))
    with pytest.raises(ConfigError, match="no mask"):
        ImageApi(protocol="gemini", mode="inpaint")
    with pytest.raises(ConfigError, match="budget"):
        ImageApi(most_money=1.0)


def test_editing_needs_a_sound_class_and_pictures(some_garments: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="known to be sound"):
        generate.run(
            some_garments, ImageApi(model="m", base_url="http://x", mode="edit"), counts={"Bag": 1}, out=tmp_path / "g"
        )
    with pytest.raises(LookupError, match="Bag"):
        generate.run(some_garments, ImageApi(model="m", base_url="http://x"), counts={"Bags": 1}, out=tmp_path / "g")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(ConfigError, match="other files"):
        generate.run(some_garments, ImageApi(model="m", base_url="http://x"), counts={"Bag": 1}, out=tmp_path / "full")


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text("utf-8").splitlines()]


def read_mask(path: Path) -> np.ndarray:
    import cv2

    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127
