"""False alarms on plain surfaces, and planted blur and darkness, beside CleanVision where it is installed.

python benchmarks/image_quality.py [--data ../shared/data]

Real surfaces: magnetic tiles, fabric crops, stain photos, color samples, circuit boards. 8 % of the pictures are
blurred (Gaussian of 3 % of the shorter edge) or darkened (12 % of the light is left).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np

from scarce import audit, io, modality
from scarce.faults import Material
from scarce.faults.blurred import Blurred
from scarce.faults.darkened import Darkened

ROOT = Path(__file__).parents[1]
CHECKS = {
    "blurred": "blurry", "bright": "light", "dark": "dark", "low_information": "low_information",
    "odd_aspect_ratio": "odd_aspect_ratio", "odd_size": "odd_size",
}  # fmt: skip
FAULTS = {"blur": (Blurred(rate=0.08), "blurred"), "darkness": (Darkened(rate=0.08), "dark")}
SETS = {
    "magnetic_tile": ("magnetic_tile/images", 500), "fabric_tilda": ("fabric_defects/tilda_crops", 500),
    "fabric_woven": ("fabric_defects/woven_crops", 500), "stain_photos": ("fabric_defects/stain_photos", 500),
    "colour_samples": ("fabric_defects/colour_samples", 500), "deep_pcb": ("deep_pcb/template", 300),
}  # fmt: skip


def material(folder: Path, most: int) -> Material:
    paths = sorted(path for path in folder.rglob("*.*") if path.suffix in {".jpg", ".png"})
    read = [cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths[:: max(1, len(paths) // most)]]
    images = [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in read if image is not None]
    return Material(images, np.zeros(len(images), int), ("part",))


def ours(folder: Path) -> dict[str, np.ndarray]:
    ds = audit.run(modality.scan(io.read(folder / "images")), only=list(CHECKS))
    order = np.argsort(ds["uri"].astype(str))
    return {check: (np.nan_to_num(ds[f"audit.{check}.score"]) >= 0.5)[order] for check in CHECKS}


def cleanvision(folder: Path) -> dict[str, np.ndarray]:
    from cleanvision import Imagelab

    lab = Imagelab(data_path=str(folder / "images"))
    lab.find_issues({theirs: {} for theirs in CHECKS.values()}, n_jobs=1, verbose=False)
    table = lab.issues.sort_index()
    return {check: table[f"is_{theirs}_issue"].to_numpy() for check, theirs in CHECKS.items()}


def judged(tool: object, good: Material, base: Path) -> dict[str, object]:
    found = tool(good.write(base / "clean"))  # type: ignore[operator]
    row: dict[str, object] = {"clean": {check: round(float(hit.mean()), 4) for check, hit in found.items()}}
    for name, (fault, check) in FAULTS.items():
        bad, truth = fault.plant(good, seed=1)
        hit = tool(bad.write(base / name))[check]  # type: ignore[operator]
        both = float((hit & truth.faulty).sum())
        row[name] = {
            "precision": round(both / max(hit.sum(), 1), 3), "recall": round(both / truth.faulty.sum(), 3)
        }  # fmt: skip
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    data = parser.parse_args().data
    tools = {"ours": ours}
    try:
        peer = version("cleanvision")
        tools["cleanvision"] = cleanvision
    except PackageNotFoundError:
        peer = "not installed"
    sets: dict[str, object] = {}
    for name, (place, most) in SETS.items():
        good = material(data / place, most)
        with tempfile.TemporaryDirectory() as base:
            rows = {tool: judged(run, good, Path(base) / tool) for tool, run in tools.items()}
        sets[name] = {"n": len(good.images), **rows}
        print(name, json.dumps(sets[name]), flush=True)
    out = {"rate": 0.08, "cleanvision": peer, "sets": sets}
    if peer != "not installed":
        (ROOT / "benchmarks/results/image_quality.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
