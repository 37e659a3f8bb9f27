from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from scarce import augment
from scarce.augment import policy
from scarce.augment._lexicon import FOLDERS, lexicon
from scarce.augment._text import parts_of, stop_words, words_at
from scarce.augment.eda import vary
from scarce.augment.policy import build
from scarce.augment.random_deletion import delete_words
from scarce.augment.random_insertion import insert_words
from scarce.augment.random_swap import swap_words
from scarce.augment.synonym_replacement import replace_words
from scarce.dataset import Dataset, Schema
from scarce.errors import ConfigError, DataError, ReadError
from scarce.recipe import render

# lines of WordNet 3.0 (Princeton University), without their glosses
WORDNET = {
    "data.noun": """  1 This software and database is being provided
06262567 10 n 03 film 0 cinema 0 celluloid 0 009 @ 06254669 n 0000 ;c 00933420 n 0000 | a medium
06613686 10 n 09 movie 0 film 0 picture 0 moving_picture 0 moving-picture_show 0 motion_picture 0 """
    """motion-picture_show 0 picture_show 0 pic 0 000 | a form
09917593 18 n 0c child 0 kid 0 youngster 0 minor 0 shaver 0 nipper 0 small_fry 1 tiddler 0 """
    """tike 1 tyke 1 fry 0 nestling 0 000 | a child
""",
    "data.verb": "01525684 35 v 05 function 0 work 2 operate 3 go 0 run 0 001 $ 01526308 v 0000 01 + 08 00 | perform\n",
    "data.adj": "01000442 00 s 02 happy 0 well-chosen 0 001 & 00999817 a 0000 | well expressed\n"
    "00362892 00 s 02 galore(ip) 0 abounding 0 002 & 00362467 a 0000 | existing in abundance\n",
    "data.adv": "00085811 02 r 02 quickly 0 rapidly 0 000 | with rapid movements\n",
    "noun.exc": "children child\n",
    "verb.exc": "ran run\n",
}
TEXT = "The Children ran to a happy film, not to 3 others ."


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    folder = tmp_path / "dict"
    folder.mkdir()
    for name, body in WORDNET.items():
        (folder / name).write_text(body, encoding="latin-1")
    return folder


def test_wordnets_own_files_give_synonyms_of_inflected_and_irregular_words(wordnet: Path) -> None:
    find = lexicon(str(wordnet))
    assert find("film") == ["cinema", "celluloid", "movie", "picture", "moving picture", "moving-picture show",
                            "motion picture", "motion-picture show", "picture show", "pic"]  # fmt: skip
    assert "kid" in find("children")
    assert "child" not in find("children")
    assert find("ran") == ["function", "work", "operate", "go"]
    assert find("films") == find("film")
    assert find("happy") == ["well-chosen"]
    assert find("abounding") == ["galore"]
    assert find("zzz") == []


@pytest.mark.slow
def test_the_installed_wordnet_is_found_and_knows_english() -> None:
    places = [place for place in (os.environ.get("WNSEARCHDIR"), *FOLDERS) if place]
    if not any((Path(place) / "data.noun").is_file() for place in places):
        pytest.skip("WordNet is not installed: apt-get install wordnet-base")
    find = lexicon("auto")
    assert {"movie", "picture"} <= set(find("film"))
    assert "rapidly" in find("quickly")
    assert "glad" in find("happier")


def test_words_are_replaced_case_follows_and_stop_words_numbers_and_signs_stay(wordnet: Path) -> None:
    find = lexicon(str(wordnet))
    seen = {replace_words(TEXT, find, n=1, seed=seed) for seed in range(40)}
    assert TEXT not in seen
    assert len(seen) > 10
    for text in seen:
        before, after = parts_of(TEXT), text
        assert sum(part in after for part in before) >= len(before) - 2
        assert after.endswith("to 3 others .")
        assert " not " in after
    assert any("Kid" in text for text in seen)  # as Children was written
    assert replace_words("quickly the quickly", find, seed=0) == "rapidly the rapidly"  # all occurrences of a word
    assert replace_words("the a 3", find, n=5, seed=0) == "the a 3"
    assert replace_words("", find, seed=0) == ""


def test_insertions_swaps_and_deletions_do_what_they_say(wordnet: Path) -> None:
    find = lexicon(str(wordnet))
    words = [parts_of(TEXT)[place] for place in words_at(parts_of(TEXT))]
    for seed in range(30):
        longer = insert_words(TEXT, find, n=2, seed=seed)
        assert len(longer) > len(TEXT)
        left = longer.split()
        assert all(left.count(word) >= TEXT.split().count(word) for word in TEXT.split())
        swapped = swap_words(TEXT, n=1, seed=seed)
        changed = [(a, b) for a, b in zip(parts_of(TEXT), parts_of(swapped), strict=True) if a != b]
        assert len(changed) in (0, 2)  # 0: "to" with "to"
        assert sorted(parts_of(swapped)) == sorted(parts_of(TEXT))
        shorter = delete_words(TEXT, share=0.5, seed=seed)
        rest = iter(words)
        kept = [parts_of(shorter)[place] for place in words_at(parts_of(shorter))]
        assert kept
        assert all(word in rest for word in kept)  # a subsequence
        assert "  " not in shorter
    counts = [len(words_at(parts_of(delete_words(TEXT, share=0.1, seed=seed)))) for seed in range(400)]
    assert np.mean(counts) == pytest.approx(0.9 * len(words), rel=0.03)
    assert delete_words("one two", share=1.0, seed=1) in ("one", "two", "one ", " two")
    assert delete_words(TEXT, share=1.0, seed=1, kept=frozenset({"not"})).strip() != ""
    assert swap_words("one", seed=0) == "one"


def test_a_list_of_the_user_serves_any_language_and_korean_particles_fit(tmp_path: Path) -> None:
    own = tmp_path / "words.txt"
    own.write_text("# reviews\n상품, 제품, 물건\n영화 = 필름\nKratzer\tSchramme\n", encoding="utf-8")
    find = lexicon(str(own))
    assert find("상품") == ["제품", "물건"]
    assert find("상품이") == ["제품이", "물건이"]
    assert find("영화가") == ["필름이"]  # a closed syllable takes the other form
    assert find("영화로") == ["필름으로"]
    assert find("영화에서") == ["필름에서"]
    assert find("kratzer") == ["Schramme"]
    assert find("나무가") == []
    replaced = {replace_words("이 상품이 아주 좋다", find, seed=seed, kept=frozenset()) for seed in range(9)}
    assert replaced == {"이 제품이 아주 좋다", "이 물건이 아주 좋다"}


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="neither a list nor a WordNet folder"):
        lexicon(str(tmp_path / "none"))
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ReadError, match="holds no synonyms"):
        lexicon(str(tmp_path / "empty.txt"))
    monkeypatch.setattr("scarce.augment._lexicon._folders", lambda: [str(tmp_path)])
    with pytest.raises(ConfigError, match="apt-get install wordnet-base"):
        lexicon.__wrapped__("auto")
    with pytest.raises(ReadError, match="one word a line"):
        stop_words(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="different kinds of data"):
        build([("random_swap", {}), ("flip", {})])


def test_eda_makes_the_four_edits_in_turn_and_each_alike_often_in_a_policy(wordnet: Path) -> None:
    find = lexicon(str(wordnet))
    four = vary(TEXT, find, seed=4)
    assert four == vary(TEXT, find, seed=4) != vary(TEXT, find, seed=5)
    lengths = [len(text.split()) for text in four]
    assert lengths[1] > lengths[2] == len(TEXT.split()) > lengths[3] - 1
    own = build([("eda", {"lexicon": str(wordnet)})])
    drawn = [own.draw_for(f"s{row}", copy=copy)[0][1]["edit"] for row in range(100) for copy in range(4)]
    assert min(np.bincount(drawn, minlength=4)) > 70


def texts(tmp_path: Path, shared: Path) -> Dataset:
    with (shared / "text_small" / "trec.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"][:40]
    (tmp_path / "rows.csv").write_text("text,label\n" + "\n".join(f'"{row["text"]}",c{row["label"]}' for row in rows))
    from scarce import io

    ds = io.read(tmp_path / "rows.csv")
    return ds.with_columns({"split": ["train"] * len(ds), "split_group": list(ds.ids)})


def test_grown_texts_are_recipes_that_open_and_encode_as_texts(
    tmp_path: Path, shared_data: Path, wordnet: Path
) -> None:
    from scarce import encode, modality

    ds = texts(tmp_path, shared_data)
    own = build([("eda", {"lexicon": str(wordnet)})])
    name = ds.schema.classes[0]
    n = int((ds["label"] == 0).sum())
    grown = augment.run(ds, own, counts={name: 3 * n}, seed=1)
    rows = np.flatnonzero(grown["origin"] == "augmented")
    opened = modality.open_samples(grown, rows)
    assert all(isinstance(text, str) for text in opened)
    real = dict(zip(ds.ids.tolist(), modality.open_samples(ds, range(len(ds))), strict=True))
    recipes = grown.table["recipe"].to_pylist()
    assert [render(recipes[row], real.__getitem__) for row in rows] == opened
    changed = [
        text != real[grown.table["parents"][int(row)].as_py()[0]] for row, text in zip(rows, opened, strict=True)
    ]
    assert np.mean(changed) > 0.3  # swaps and deletions; few of these words are in the excerpt
    found = encode.run(modality.scan(grown), "tfidf", workers=1)
    assert np.isfinite(found["embedding.tfidf"]).all()
    assert len(recipes[rows[0]]) < 400 + len(str(wordnet))
    with pytest.raises(DataError, match="changes image samples"):
        augment.run(ds, "natural", counts={name: 1})


def test_the_preset_of_texts_is_eda_with_the_published_settings() -> None:
    (edit,) = policy("text").operations
    assert (edit.n, edit.deletion, edit.kept) == (1, 0.1, "")
    assert {"not", "the", "n't"} <= stop_words()


def test_other_languages_come_from_lexicons_of_wn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wn = pytest.importorskip("wn", reason="wn is not installed")
    body = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE LexicalResource SYSTEM "http://globalwordnet.github.io/schemas/WN-LMF-1.0.dtd">
<LexicalResource xmlns:dc="http://purl.org/dc/elements/1.1/">
<Lexicon id="kor" label="Korean" language="ko" email="a@b.c" license="CC0" version="1">
<LexicalEntry id="e1"><Lemma writtenForm="영화" partOfSpeech="n"/><Sense id="s1" synset="kor-1-n"/></LexicalEntry>
<LexicalEntry id="e2"><Lemma writtenForm="필름" partOfSpeech="n"/><Sense id="s2" synset="kor-1-n"/></LexicalEntry>
<Synset id="kor-1-n" ili="" partOfSpeech="n"/></Lexicon></LexicalResource>"""
    (tmp_path / "kor.xml").write_text(body, encoding="utf-8")
    monkeypatch.setattr(wn.config, "data_directory", tmp_path)
    with pytest.raises(ConfigError, match="wn has no lexicon of language 'ko'"):
        lexicon.__wrapped__("wn:ko")
    wn.add(tmp_path / "kor.xml", progress_handler=None)
    assert lexicon.__wrapped__("wn:ko")("영화") == ["필름"]


def test_the_dataset_of_another_kind_is_refused() -> None:
    ds = Dataset.from_columns(
        Schema(classes=("a",), modality="text"),
        {"id": ["1"], "label": ["a"], "split": ["train"], "split_group": ["g"]},
    )
    with pytest.raises(DataError, match="this data is text"):
        augment.run(ds, "series", counts={"a": 1})
