"""How many pictures a second does `scarce predict` judge, with torch and with an ONNX file, and how far from the floor?

    python benchmarks/predict.py [--garments 10000] [--photos 500] [--data FOLDER] [--rounds 2]

Garments: PNG files of 28 x 28 pixels and a small_resnet (finetune, each picture and its mirror image). Photos: JPEG
files of 640 x 480 cut from the real pictures of the shared data, and a linear probe on EfficientNet-Lite0 at 192
pixels. Models learn from a few of the same pictures: weights do not change the speed. The whole way is timed, from
names of files to verdicts; files are in the page cache.

The floor is counted: opening the pictures in one thread by OpenCV, and the network's operations over the peak of a
matrix product, both in processor seconds of this machine and run. Best of the rounds; on a shared machine processor
seconds say more than the wall clock.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import torch
from photos import make
from torch.utils.flop_counter import FlopCounterMode

from scarce import encode, io, modality, train
from scarce.train import onnx_file
from scarce.train._graph import graph_of
from scarce.train.finetune import Finetune
from scarce.train.linear_probe import LinearProbe
from scarce.train.model import Model, versions
from scarce.train.predict import predict

HERE = Path(__file__).parent
GARMENTS = HERE.parent / "examples" / "garments" / "garments.parquet"
RESULT = HERE / "results" / "predict.json"
LEARNT = 120
"""Pictures that a model learns from."""


def garment_files(folder: Path, count: int) -> list[Path]:
    table = pq.read_table(GARMENTS, columns=["image"])["image"].to_pylist()
    paths = []
    for number in range(count):
        cell = table[number % len(table)]
        paths.append(folder / f"{number:05d}.png")
        paths[-1].write_bytes(cell["bytes"] if isinstance(cell, dict) else cell)
    return paths


def learnt(files: Sequence[Path], trainer: Any, folder: Path, size: int | None) -> Model:
    """Fit on copies of some files in two folders, and bring the model back as predict would."""
    for number, path in enumerate(files[:LEARNT]):
        place = folder / "learn" / ("odd" if number % 2 else "even")
        place.mkdir(parents=True, exist_ok=True)
        (place / path.name).write_bytes(path.read_bytes())
    ds = modality.scan(io.read(folder / "learn"))
    if size:
        ds = encode.run(ds, "efficientnet_lite0", size=size)
    return train.load(train.fit(ds.fold(ds.ids, ()), trainer, seed=0).save(folder / "model"))


def timed(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the least wall and processor seconds."""
    found = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


def peak_flops() -> float:
    """Return operations per processor second of a float32 matrix product."""
    one = torch.rand(1024, 1024)
    torch.mm(one, one)
    return 2 * 1024**3 / timed(lambda: torch.mm(one, one), 8)[1]


def floor(model: Model, files: Sequence[Path], how: int, peak: float) -> dict[str, float]:
    raw = [np.frombuffer(path.read_bytes(), np.uint8) for path in files]
    opened = timed(lambda: [cv2.imdecode(one, how) for one in raw], 1)[1]
    graph = graph_of(model)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        graph(*(one.blank(1) for one in graph.inputs))
    return {"decode": opened, "network": counter.get_total_flops() * len(files) / peak}


def measured(name: str, model: Model, files: list[Path], how: int, given: tuple[Path, float, int]) -> dict[str, Any]:
    folder, peak, rounds = given
    sides: dict[str, Model] = {"torch": model}
    onnx_file.write(model, folder / "m.onnx")
    sides["onnx"] = train.load(folder / "m.onnx")
    body: dict[str, Any] = {"pictures": len(files), "floor_cpu_seconds": floor(model, files, how, peak)}
    least = sum(body["floor_cpu_seconds"].values())
    for side, one in sides.items():
        answers = predict(one, files[:40])
        assert all(row.error is None for row in answers)
        wall, cpu = timed(lambda one=one: predict(one, files), rounds)
        body[side] = {"wall_seconds": wall, "cpu_seconds": cpu, "a_second_wall": len(files) / wall,
                      "a_second_cpu": len(files) / cpu, "over_floor": cpu / least}  # fmt: skip
        print(f"{name:9s} {side:6s} {len(files) / wall:8.0f} a second, {len(files) / cpu:8.0f} a processor second, "
              f"{cpu / least:.2f} x floor")  # fmt: skip
    print(f"{name:9s} floor  {json.dumps({key: round(value, 2) for key, value in body['floor_cpu_seconds'].items()})}")
    return body


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--garments", type=int, default=10_000)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    chosen = parser.parse_args()
    peak = peak_flops()
    result: dict[str, Any] = {"peak_gflops": peak / 1e9, "threads": torch.get_num_threads(), "seed": 0}
    print(f"peak {peak / 1e9:.0f} GFLOP per processor second")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "g").mkdir()
        if chosen.garments:
            files = garment_files(base / "g", chosen.garments)
            model = learnt(files, Finetune(epochs=1, network="small_resnet"), base / "gm", None)
            given = base / "gm", peak, chosen.rounds
            result["garments"] = measured("garments", model, files, cv2.IMREAD_GRAYSCALE, given)
        if chosen.photos:
            make(chosen.data, base / "p", chosen.photos)
            files = sorted((base / "p").rglob("*.jpg"))
            model = learnt(files, LinearProbe(folds=0), base / "pm", 192)
            given = base / "pm", peak, chosen.rounds
            result["photos"] = measured("photos", model, files, cv2.IMREAD_REDUCED_COLOR_2, given)
    result["versions"] = versions()
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
