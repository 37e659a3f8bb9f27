"""Fine-tuning a language model: a tiny checkpoint that the test builds, through the real loading code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scarce import io, modality, train
from scarce.dataset import FoldView
from scarce.errors import ConfigError, TrainError
from scarce.execute.precision import exact
from scarce.train.predict import predict
from scarce.train.transformer import Transformer

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def questions(shared_data: Path) -> FoldView:
    """Questions for a person or for a number."""
    ds = modality.scan(io.read(shared_data / "text_small" / "trec.csv"))
    names = np.asarray(ds.table["label"].to_pylist())
    two = np.flatnonzero(np.isin(names, ("3", "4")))[:240]
    part = ds.take(two)
    part = type(part)(type(ds.schema)(modality="text", classes=("3", "4")), part.table, part.sources, steps=part.steps)
    return part.fold(part.ids[:160], part.ids[160:])


@pytest.fixture(scope="module")
def tiny(questions: FoldView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    words = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    texts = [str(text) for text in modality.open_samples(questions.train, np.arange(len(questions.train)))]
    words.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]"]))
    folder = tmp_path_factory.mktemp("tiny")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
    config = transformers.DistilBertConfig(
        vocab_size=words.get_vocab_size(), dim=32, hidden_dim=64, n_layers=1, n_heads=2, max_position_embeddings=48,
        pad_token_id=0, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.DistilBertModel(config).save_pretrained(folder)
    return folder


def settings(tiny: Path, **more: object) -> Transformer:
    return Transformer.from_params(
        {"checkpoint": str(tiny), "epochs": 6, "batch": 16, "learning_rate": 5e-3, "longest": 32, **more}
    )


def test_learns_and_lives_in_a_folder(questions: FoldView, tiny: Path, tmp_path: Path) -> None:
    model = train.fit(questions, settings(tiny), seed=1)
    probs = model.predict_proba(questions.eval)
    assert (probs.argmax(1) == questions.eval["label"]).mean() > 0.65
    again = train.load(model.save(tmp_path / "m"))
    np.testing.assert_allclose(again.predict_proba(questions.eval), probs, atol=1e-5)
    (tmp_path / "new.csv").write_text("text\nwho wrote the book ?\nhow many people live there ?\n")
    found = predict(again, tmp_path / "new.csv")
    assert len(found) == 2
    assert not any(item.error for item in found)
    assert {item.label for item in found} <= set(model.classes)


def test_parts_of_a_batch_give_the_same_weights(questions: FoldView, tiny: Path) -> None:
    with exact():  # bfloat16 rounds the parts' gradients each for itself
        whole = train.fit(questions, settings(tiny, epochs=1, validation=0.0), seed=2).tensors()
        parts = train.fit(questions, settings(tiny, epochs=1, validation=0.0, accumulate=4), seed=2).tensors()
    for name, array in whole.items():
        np.testing.assert_allclose(array, parts[name], atol=2e-3, err_msg=name)


def test_sentence_embeddings_with_a_linear_head(questions: FoldView, tiny: Path) -> None:
    from scarce import encode
    from scarce.encode.sentence import Sentence
    from scarce.errors import ReadError

    ds = encode.run(questions.dataset, Sentence(model=str(tiny)), workers=1)
    assert ds["embedding.sentence"].shape == (240, 32)
    np.testing.assert_allclose(np.linalg.norm(ds["embedding.sentence"], axis=1), 1, atol=2e-3)
    view = ds.fold(questions.train_ids, questions.eval_ids)
    model = train.fit(view, "linear_probe")
    assert (model.predict_proba(view.eval).argmax(1) == view.eval["label"]).mean() > 0.55
    with pytest.raises(ReadError, match=r"'no/such-model' cannot be opened.*take tfidf"):
        encode.run(questions.dataset, Sentence(model="no/such-model"))


def test_refusals(questions: FoldView, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"'no/such-model' cannot be opened.*HF_HUB_OFFLINE"):
        train.fit(questions, Transformer(checkpoint="no/such-model"))
    for file in tiny.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(TrainError, match="cannot be opened"):
        train.fit(questions, Transformer(checkpoint=str(tmp_path)))
    with pytest.raises(ConfigError, match="epochs = 0"):
        Transformer(epochs=0)
