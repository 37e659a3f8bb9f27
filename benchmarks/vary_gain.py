"""What do variants of texts, sounds and series gain on real held-out data? Paired over seeds; no gain is a result.

Each seed draws a small training set; a linear probe is fitted without and with four variants a sample (the class
weights stay) and scored on the same test set. Printed: mean gain in accuracy and the 95 % t interval over the seeds.
Sounds take longest, about 8 and 16 seconds of processor time a draw, since pitch and time are changed in the spectrum
(9 ms a sound); after each draw a line on stderr says how far it is.

    python benchmarks/vary_gain.py DATA [--seeds 10] [--only text audio series] [--out FILE]

DATA is the folder of real data sets; texts need WordNet (apt-get install wordnet-base).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pc
from scipy.stats import t as student
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scarce.augment.policy import Policy, build, policy
from scarce.encode.logmel import spectrum_statistics
from scarce.encode.series import Series
from scarce.modality.audio import read_sound, resample

COPIES = 4


def variants(chosen: Policy, samples: list[Any], labels: np.ndarray, seed: int) -> tuple[list[Any], np.ndarray]:
    """Return COPIES variants of each sample; a partner is another sample of the class."""
    made, rng = [], np.random.default_rng([seed, 5])
    for copy in range(COPIES):
        for row, sample in enumerate(samples):
            others = np.flatnonzero((labels == labels[row]) & (np.arange(len(labels)) != row))
            other = samples[int(rng.choice(others))] if len(others) else sample
            made.append(chosen.alter(sample, np.random.default_rng([seed, row, copy]), other))
    return made, np.tile(labels, COPIES)


def text_score(train: list[str], labels: np.ndarray, test: tuple[list[str], np.ndarray]) -> float:
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b"), LogisticRegression(C=10, max_iter=500)
    )
    return float(model.fit(train, labels).score(*test))


def feature_score(encode: Any) -> Any:
    def score(train: list[Any], labels: np.ndarray, test: tuple[Any, np.ndarray]) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
        return float(model.fit(encode(train), labels).score(*test))

    return score


def compare(name: str, draw: Any, score: Any, policies: dict[str, Policy], seeds: int) -> list[dict[str, Any]]:
    """Return one row a policy: gain over no augmentation, paired over the seeds."""
    gains: dict[str, list[float]] = {key: [] for key in policies}
    base, started, busy = [], time.perf_counter(), time.process_time()
    for seed in range(seeds):
        train, labels, test = draw(seed)
        base.append(score(train, labels, test))
        for key, chosen in policies.items():
            made, own = variants(chosen, train, labels, seed)
            gains[key].append(score([*train, *made], np.concatenate([labels, own]), test) - base[-1])
        print(
            f"# {name}: draw {seed + 1} of {seeds}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True
        )
    rows = []
    for key, values in gains.items():
        mean, spread = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
        half = float(student.ppf(0.975, len(values) - 1)) * spread
        verdict = "helped" if mean - half > 0 else "hurt" if mean + half < 0 else "no evidence"
        rows.append(
            {
                "data": name,
                "policy": key,
                "base": float(np.mean(base)),
                "gain": mean,
                "low": mean - half,
                "high": mean + half,
                "verdict": verdict,
                "seeds": seeds,
            }
        )
        points = [100 * value for value in (np.mean(base), mean, mean - half, mean + half)]
        told = "{:5.1f} {:+5.1f} [{:+5.1f}, {:+5.1f}]".format(*points)
        print(f"{name:24} {key:22} {told} {verdict}", flush=True)
    spent = time.process_time() - busy
    print(f"# {name}: {time.perf_counter() - started:.0f} s, {spent:.0f} s of processor time", flush=True)
    return rows


def texts(data: Path, seeds: int) -> list[dict[str, Any]]:
    one = {
        name: build([(name, {})])
        for name in ("synonym_replacement", "random_insertion", "random_swap", "random_deletion")
    }
    policies = {"text (EDA)": policy("text"), **one}
    rows = []
    for name, n in (("sst2", 500), ("cr", 500), ("trec", 500), ("trec", 100)):
        table = pc.read_csv(data / "text_small" / f"{name}.csv").to_pydict()
        body, label = np.array(table["text"], object), np.array(table["label"])
        split = (
            np.array(table["split"])
            if name != "cr"
            else np.where(np.random.default_rng(0).random(len(body)) < 0.3, "test", "train")
        )

        def draw(seed: int, body: Any = body, label: Any = label, split: Any = split, n: int = n) -> Any:
            chosen = np.random.default_rng(seed).permutation(np.flatnonzero(split == "train"))[:n]
            test = split == "test"
            return list(body[chosen]), label[chosen], (list(body[test]), label[test])

        rows += compare(f"{name} {n}", draw, text_score, policies, seeds)
    return rows


def sounds(data: Path, seeds: int) -> list[dict[str, Any]]:
    place = data / "audio_digits"
    table = pc.read_csv(place / "index.csv").to_pydict()
    label, speaker, split = (np.array(table[key]) for key in ("digit", "speaker", "split"))
    body = []
    for name in table["file"]:
        found, rate = read_sound((place / name if (place / name).is_file() else place / "wav" / name).read_bytes())
        body.append(resample(found.mean(axis=1, dtype=np.float32), rate))
    features = np.stack([spectrum_statistics(sound) for sound in body])
    names = ("spec_augment", "sound_noise", "sound_shift", "speed", "pitch")
    policies = {"sound (preset)": policy("sound"), **{name: build([(name, {})]) for name in names}}

    def encode(batch: list[Any]) -> Any:
        return np.stack([spectrum_statistics(sound) for sound in batch])

    def draw(seed: int, per_class: int, held: str | None) -> Any:
        rng = np.random.default_rng(seed)
        usable = (split == "train") if held is None else (speaker != held)
        test = (split == "test") if held is None else (speaker == held)
        rows = np.concatenate(
            [rng.permutation(np.flatnonzero(usable & (label == digit)))[:per_class] for digit in range(10)]
        )
        return [body[row] for row in rows], label[rows], (features[test], label[test])

    rows = compare("digits, 5 a class", lambda seed: draw(seed, 5, None), feature_score(encode), policies, seeds)
    speakers = sorted(set(speaker.tolist()))
    return rows + compare(
        "digits, new speaker, 10",
        lambda seed: draw(seed, 10, speakers[seed % 3]),
        feature_score(encode),
        policies,
        seeds,
    )


def series(data: Path, seeds: int) -> list[dict[str, Any]]:
    names = (
        "jitter",
        "scaling",
        "rotation",
        "permutation",
        "magnitude_warp",
        "time_warp",
        "window_slice",
        "window_warp",
        "guided_warp",
    )
    policies = {"series (preset)": policy("series"), **{name: build([(name, {})]) for name in names}}
    rows = []
    for name in ("GunPoint", "ECG200", "Trace", "ItalyPowerDemand"):
        with np.load(data / "time_series" / f"{name}.npz") as opened:
            body, label = opened["x_train"], opened["y_train"]
            encoder = Series(length=int(np.clip(body.shape[1], 32, 512)))
            test = encoder.embed(list(opened["x_test"])), opened["y_test"]

        def draw(seed: int, body: Any = body, label: Any = label, test: Any = test) -> Any:
            rng, each = np.random.default_rng(seed), max(3, min(10, len(body) // (2 * len(set(label.tolist())))))
            chosen = np.concatenate(
                [rng.permutation(np.flatnonzero(label == code))[:each] for code in np.unique(label)]
            )
            return [body[row] for row in chosen], label[chosen], test

        rows += compare(name, draw, feature_score(lambda batch, encoder=encoder: encoder.embed(batch)), policies, seeds)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="*", default=["text", "audio", "series"])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    parts = {"text": texts, "audio": sounds, "series": series}
    rows = [row for name in given.only for row in parts[name](given.data, given.seeds)]
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
