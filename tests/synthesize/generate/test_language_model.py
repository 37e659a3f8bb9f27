from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scarce import io, modality
from scarce.errors import ConfigError, DataError, ReadError
from scarce.synthesize import generate
from scarce.synthesize.generate.language_model import EDGES, LanguageModel

if TYPE_CHECKING:
    from conftest import Service
    from scarce.dataset import Dataset


@pytest.fixture(scope="module")
def questions(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """400 questions of TREC, half of them to train on."""
    with (shared_data / "text_small" / "trec.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = np.random.default_rng(0).choice(len(rows), 400, replace=False)
    path = tmp_path_factory.mktemp("questions") / "questions.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, ("text", "label", "split"))
        out.writeheader()
        for at, row in enumerate(chosen):
            out.writerow(
                {"text": rows[row]["text"], "label": rows[row]["label"], "split": "train" if at < 200 else "test"}
            )
    return io.read(path)


def model(service: Service, **more: Any) -> LanguageModel:
    return LanguageModel(base_url=service.url, model="tiny", pause_seconds=0.01, domain="quiz questions", **more)


def numbered() -> Any:
    """Answer with as many new texts as the prompt asks for."""
    state = {"at": 0}
    words = "river engine cathedral violin glacier senator molecule harbor novel planet orchard treaty".split()

    def chat(prompt: str) -> str:
        import re

        wanted = int(re.search(r"(?:Write|in) (\d+) ", prompt)[1])  # type: ignore[index]
        texts = []
        for _ in range(wanted):
            state["at"] += 1
            rng = np.random.default_rng(state["at"])
            texts.append("Which " + " ".join(rng.choice(words, 6)) + f" came {state['at']} times?")
        return json.dumps({"texts": texts})

    return chat


def texts_of(got: generate.Generated) -> list[str]:
    return [str(text) for text in modality.open_samples(got.dataset, got.dataset.rows_of(got.ids))]


def test_examples_show_real_training_texts_and_become_rows(
    service: Service, questions: Dataset, tmp_path: Path
) -> None:
    service.chat = numbered()
    name = questions.schema.classes[0]
    got = generate.run(questions, model(service, style="Write plainly."), counts={name: 7}, out=tmp_path / "g", seed=4)
    assert got.accepted == {name: 7}
    ds = got.dataset
    rows = ds.rows_of(got.ids)
    assert len(texts_of(got)) == 7
    prompt = service.calls[0].body["messages"][0]["content"]
    assert "quiz questions" in prompt
    assert "Write plainly." in prompt
    assert all(name in prompt for name in questions.schema.classes)
    shown = ds.table["parents"][int(rows[0])].as_py()
    assert len(shown) == 5
    at = ds.rows_of(shown)
    assert set(ds["split"][at]) == {"train"}
    assert set(ds.table["label"].take(at).to_pylist()) == {name}
    assert all(str(text) in prompt for text in modality.open_samples(ds, at))
    assert len(service.calls) == 2
    assert service.calls[1].body["messages"][0]["content"].startswith("You write training data")
    with (tmp_path / "g" / "texts.csv").open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == texts_of(got)


def test_edge_cases_of_four_kinds_and_three_paraphrases(service: Service, questions: Dataset, tmp_path: Path) -> None:
    service.chat = numbered()
    name = questions.schema.classes[1]
    edges = model(service, task="edge_cases", per_combination=2)
    got = generate.run(questions, edges, counts={name: 1}, out=tmp_path / "e")
    kinds = got.dataset["meta.edge"][got.dataset.rows_of(got.ids)]
    assert sorted(kinds) == sorted([*EDGES] * 2)
    asked = {call.body["messages"][0]["content"] for call in service.calls}
    assert all(any(meaning in prompt for prompt in asked) for meaning in EDGES.values())
    assert all(prompt.count("\n- ") == 5 for prompt in asked)
    service.calls.clear()
    same = generate.run(questions, model(service, task="paraphrases"), counts={name: 6}, out=tmp_path / "p")
    families = [tuple(row) for row in same.dataset.table["parents"].take(same.dataset.rows_of(same.ids)).to_pylist()]
    assert len(service.calls) == 2
    assert sorted(map(families.count, set(families))) == [3, 3]
    assert all(len(family) == 1 for family in families)


def test_copies_of_real_texts_and_of_each_other_are_rejected(
    service: Service, questions: Dataset, tmp_path: Path
) -> None:
    name = questions.schema.classes[0]
    real = [str(text) for text in modality.open_samples(questions, [0, 399])]
    fresh = numbered()
    once = json.loads(fresh("Write 1 "))["texts"][0]
    first = json.dumps([real[0].upper(), real[1] + " ?", once, once + "!", once.replace(" came", " it came")])
    answers = iter([first])
    service.chat = lambda prompt: next(answers, None) or fresh(prompt)
    got = generate.run(questions, model(service), counts={name: 5}, out=tmp_path / "g")
    assert got.accepted == {name: 5}
    assert got.rejected[name] == {"a copy of a real text": 2, "a copy of a generated text": 2}
    assert once in texts_of(got)


def test_an_answer_without_json_is_asked_to_be_repaired_and_then_rejected(
    service: Service, questions: Dataset, tmp_path: Path
) -> None:
    name, fresh = questions.schema.classes[0], numbered()
    answers = iter(
        ["1. first, 2. second", '{"texts": ["What is the tallest tower of the northern coast?"]}', "No.", "No!"]
    )
    service.chat = lambda prompt: next(answers, None) or fresh(prompt)
    got = generate.run(questions, model(service, json_mode=True), counts={name: 4}, out=tmp_path / "g")
    assert got.accepted == {name: 4}
    assert got.rejected[name] == {"the answer is no JSON with texts": 1}
    assert "1. first, 2. second" in service.calls[1].body["messages"][0]["content"]
    assert service.calls[0].body["response_format"] == {"type": "json_object"}


def test_a_service_that_fails_half_way_and_prompts_of_your_own(
    service: Service, questions: Dataset, tmp_path: Path
) -> None:
    name, service.chat = questions.schema.classes[0], numbered()
    files = generate.prompt_files(tmp_path / "prompts")
    assert {file.stem for file in files} >= {
        "examples",
        "edge_cases",
        "paraphrases",
        "repair",
        "picture",
        "edit",
        "inpaint",
    }
    (tmp_path / "prompts" / "examples.txt").write_text("# mine\nWrite {count} of {label} please", "utf-8")
    plugin = model(service, prompts=str(tmp_path / "prompts"), tries=1)
    service.faults = [None, "hang up"]
    first = generate.run(questions, plugin, counts={name: 8}, out=tmp_path / "g")
    assert first.failed
    assert first.accepted == {name: 5}
    second = generate.run(questions, plugin, counts={name: 8}, out=tmp_path / "g")
    assert second.accepted == {name: 8}
    assert texts_of(second)[:5] == texts_of(first)
    assert service.calls[0].body["messages"][0]["content"] == f"Write 5 of {name} please"
    assert generate.prompt_files(tmp_path / "prompts")[0].exists()
    assert (tmp_path / "prompts" / "examples.txt").read_text("utf-8").startswith("# mine")
    (tmp_path / "prompts" / "examples.txt").write_text("{lable}", "utf-8")
    third = generate.run(questions, plugin, counts={name: 9}, out=tmp_path / "g")
    assert third.failed
    assert "'label'" in third.stopped
    assert third.accepted == {name: 8}
    with pytest.raises(ConfigError, match="label"):
        generate.run(questions, plugin, counts={name: 9}, out=tmp_path / "h")
    with pytest.raises(ReadError, match="no folder"):
        generate.run(questions, model(service, prompts="/nowhere"), counts={name: 9}, out=tmp_path / "x")


def test_pictures_are_refused(parts: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="makes text data"):
        generate.run(parts, LanguageModel(model="m"), counts={"Bag": 1}, out=tmp_path / "g")


@pytest.mark.slow
def test_a_tiny_local_model_runs_and_what_it_babbles_is_rejected(questions: Dataset, tmp_path: Path) -> None:
    """Random weights write no JSON; the way there, seeds included, is that of a real model."""
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: pip install 'scarce[synthesize]'"
    )
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = pre_tokenizers.ByteLevel.alphabet()
    tokens = Tokenizer(
        models.BPE(vocab={letter: at for at, letter in enumerate([*sorted(letters), "<end>"])}, merges=[])
    )
    tokens.pre_tokenizer, tokens.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<end>")
    torch.manual_seed(0)
    sizes = {"vocab_size": 257, "n_positions": 2048, "n_embd": 16, "n_layer": 1, "n_head": 2}
    small = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=256, eos_token_id=256))
    small.save_pretrained(tmp_path / "m")
    fast.save_pretrained(tmp_path / "m")
    name = questions.schema.classes[0]
    plugin = LanguageModel(model=str(tmp_path / "m"), most_tokens=40)
    limits = generate.Limits(most_rejected=2)
    got = generate.run(questions, plugin, counts={name: 3}, out=tmp_path / "g", limits=limits)
    assert got.accepted == {name: 0}
    assert got.rejected[name] == {"the answer is no JSON with texts": 2}
    from scarce.synthesize.generate.language_model import _local

    say = _local(plugin)
    assert say("Hello", 1) == say("Hello", 1) != say("Hello", 2)
    long = LanguageModel(model=str(tmp_path / "m"), most_tokens=40, shown=200)
    with pytest.raises(ReadError, match="cannot be loaded"):
        generate.run(questions, LanguageModel(model=str(tmp_path)), counts={name: 3}, out=tmp_path / "h")
    with pytest.raises(DataError, match="failed"):
        generate.run(questions, long, counts={name: 3}, out=tmp_path / "i")
