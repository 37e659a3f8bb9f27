"""How fast are perceptual hashes and the whole audit of real photos, beside imagehash, imagededup and CleanVision?

    python benchmarks/photos.py [--photos 10000] [--peer 1000] [--cleanvision PYTHON] [--data FOLDER] [--out FILE]

Photos of 640 x 480 (JPEG, quality 90) are cut at random from the real pictures of the shared data (tiles, circuit
boards, cloth), each in its own light and scale. Sides, each in a process of its own, with two threads or processes:

- ours, hashes: read, one decode (large JPEG smaller), two hashes; what the one pass does, without its other measures;
- ours, scan: the one pass with all measures; ours, audit: the pass, then every check that needs no features, with and
  without same_object;
- imagehash: both hashes from one decode, and as its users do, one decode for each;
- imagededup: its gradient hash alone, and both; CleanVision: find_issues() with all its checks, with the interpreter
  that is named (its environment may be of its own).

Ratios come first, in wall clock and in seconds of the processor (children are counted); files are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

WORKERS = 2


def make(data: Path, folder: Path, count: int) -> None:
    """Cut photos from real pictures; found again if they are there."""
    import cv2
    import numpy as np

    places = sorted(
        path for name in ("magnetic_tile/images", "deep_pcb/template", "fabric_defects/stain_photos")
        for path in (data / name).rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"}
    )  # fmt: skip
    places = places[:: max(1, len(places) // 600)]
    sources = [image for image in (cv2.imread(str(path)) for path in places) if image is not None]
    for name in ("good", "stain"):
        (folder / name).mkdir(parents=True, exist_ok=True)

    def write(number: int) -> None:
        file = folder / ("stain" if number % 100 == 0 else "good") / f"{number:06d}.jpg"
        if file.exists():
            return
        rng = np.random.default_rng([number, 11])
        image = sources[int(rng.integers(len(sources)))]
        height, width = image.shape[:2]
        wide = int(min(width, height * 4 / 3) * rng.uniform(0.5, 1.0))
        tall = max(1, wide * 3 // 4)
        left, top = int(rng.integers(0, width - wide + 1)), int(rng.integers(0, height - tall + 1))
        part = cv2.resize(image[top : top + tall, left : left + wide], (640, 480), interpolation=cv2.INTER_CUBIC)
        part = cv2.convertScaleAbs(part, alpha=float(rng.uniform(0.8, 1.15)), beta=float(rng.uniform(-15, 15)))
        part = part[:, ::-1] if rng.random() < 0.5 else part
        file.write_bytes(cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())

    cv2.setNumThreads(1)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(write, range(count)))


def by_threads(files: list[Path], work: Callable[[bytes], Any]) -> dict[str, Any]:
    with ThreadPoolExecutor(WORKERS) as pool:
        return {"hashed": sum(1 for _ in pool.map(lambda file: work(file.read_bytes()), files))}


def our_hashes(files: list[Path]) -> dict[str, Any]:
    """The pass's own decode, small picture and hashes."""
    import cv2
    import numpy as np

    from scarce.modality import perceptual
    from scarce.modality.image import ENOUGH_PIXELS, Image, _pixels, _shrink

    cv2.setNumThreads(1)
    reader = Image()

    def small(data: bytes) -> tuple[np.ndarray, np.ndarray]:
        header = reader._open(data)
        pixels = _pixels(data, header, _shrink(header, longer=ENOUGH_PIXELS))
        gray = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        tiny = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
        return cv2.resize(tiny, (9, 8), interpolation=cv2.INTER_AREA), cv2.dct(tiny)[:8, :8]

    with ThreadPoolExecutor(WORKERS) as pool:
        found = list(pool.map(lambda file: small(file.read_bytes()), files))
    first = perceptual.dhash(np.stack([one for one, _ in found]))
    perceptual.phash(np.stack([other for _, other in found]))
    return {"hashed": len(first)}


def our_scan(folder: Path) -> dict[str, Any]:
    from scarce import io, modality

    ds = modality.scan(io.read(folder), workers=WORKERS)
    return {"images": len(ds)}


def our_audit(folder: Path, *, whole: bool) -> dict[str, Any]:
    from scarce import audit, io, modality

    start = time.perf_counter()
    ds = modality.scan(io.read(folder), workers=WORKERS)
    scanned = time.perf_counter() - start
    ds = audit.run(ds, workers=WORKERS, skip=() if whole else ("same_object",))
    seconds = {step.name: round(step.seconds or 0.0, 2) for step in ds.steps if step.stage == "audit"}
    longest = dict(sorted(seconds.items(), key=lambda item: -item[1]))
    return {"images": len(ds), "scan_seconds": round(scanned, 2), "seconds_per_check": longest}


def with_imagehash(data: bytes, *, once: bool) -> None:
    import io

    import imagehash
    from PIL import Image

    opened = Image.open(io.BytesIO(data))
    imagehash.dhash(opened)
    imagehash.phash(opened if once else Image.open(io.BytesIO(data)))


def with_imagededup(folder: Path, names: tuple[str, ...]) -> dict[str, Any]:
    from imagededup import methods

    for name in names:
        found = getattr(methods, name)(verbose=False).encode_images(
            image_dir=str(folder), recursive=True, num_enc_workers=WORKERS
        )
    return {"hashed": len(found)}


CLEANVISION = """
import json, sys
from cleanvision import Imagelab
lab = Imagelab(data_path=sys.argv[1])
lab.find_issues(n_jobs=int(sys.argv[2]), verbose=False)
print(json.dumps({"images": len(lab.issues)}))
"""


def with_cleanvision(python: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run([python, "-c", CLEANVISION, str(folder), str(WORKERS)], check=True, capture_output=True,
                          text=True)  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def part(side: str, folder: Path, few: Path, python: str) -> dict[str, Any]:
    files = sorted(few.rglob("*.jpg"))
    works: dict[str, Callable[[], dict[str, Any]]] = {
        "own_hashes": lambda: our_hashes(files),
        "imagehash": lambda: by_threads(files, lambda data: with_imagehash(data, once=True)),
        "imagehash_two_decodes": lambda: by_threads(files, lambda data: with_imagehash(data, once=False)),
        "imagededup_dhash": lambda: with_imagededup(few, ("DHash",)),
        "imagededup_both": lambda: with_imagededup(few, ("DHash", "PHash")),
        "own_scan": lambda: our_scan(folder),
        "own_audit": lambda: our_audit(folder, whole=True),
        "own_audit_without_same_object": lambda: our_audit(folder, whole=False),
        "cleanvision": lambda: with_cleanvision(python, folder),
    }
    for file in folder.rglob("*.jpg"):
        file.read_bytes()
    before, start = used(), time.perf_counter()
    found = works[side]()
    seconds, cpu = time.perf_counter() - start, used() - before
    count = found.get("images", found.get("hashed", 0))
    return {**found, "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2),
            "per_second": round(count / seconds, 1), "per_cpu_second": round(count / cpu, 1)}  # fmt: skip


def used() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--peer", type=int, default=1000, help="photos that the hashing sides get")
    parser.add_argument("--cleanvision", default="", help="interpreter whose environment has CleanVision")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SCARCE_DATA", "../shared/data")))
    parser.add_argument("--keep", type=Path, help="make the photos here and keep them")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "photos.json")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = options.keep or Path(scratch)
        folder, few = base / f"photos-{options.photos}", base / f"photos-{options.peer}"
        if options.part:
            print(json.dumps(part(options.part, folder, few, options.cleanvision)))
            return
        make(options.data, folder, options.photos)
        make(options.data, few, options.peer)
        from scarce.extras import available

        sides = ["own_hashes", "own_scan", "own_audit", "own_audit_without_same_object"]
        sides += ["imagehash", "imagehash_two_decodes"] if available("imagehash") else []
        sides += ["imagededup_dhash", "imagededup_both"] if available("imagededup") else []
        sides += ["cleanvision"] if options.cleanvision else []
        found: dict[str, Any] = {}
        for side in sides:
            command = [sys.executable, __file__, "--part", side, "--keep", str(base), "--photos", str(options.photos),
                       "--peer", str(options.peer), "--cleanvision", options.cleanvision]  # fmt: skip
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[side] = json.loads(done.stdout.splitlines()[-1]) | {"load": round(os.getloadavg()[0], 1)}
            print(side, json.dumps(found[side]), flush=True)
    ratios = {}
    for name, own in (("imagehash", "own_hashes"), ("imagehash_two_decodes", "own_hashes"),
                      ("imagededup_dhash", "own_hashes"), ("imagededup_both", "own_hashes"),
                      ("cleanvision", "own_scan"), ("cleanvision", "own_audit"),
                      ("cleanvision", "own_audit_without_same_object")):  # fmt: skip
        if name in found:
            ratios[f"{own}_to_{name}"] = round(found[own]["per_second"] / found[name]["per_second"], 2)
            ratios[f"{own}_to_{name}_cpu"] = round(found[own]["per_cpu_second"] / found[name]["per_cpu_second"], 2)
    import cv2
    import numpy as np

    result = {
        "question": "hashes and the whole audit of real photos", **ratios, **found, "photos": options.photos,
        "pixels": "640x480", "workers": WORKERS, "cores": os.cpu_count(), "machine": platform.machine(),
        "python": platform.python_version(), "versions": {"opencv": cv2.__version__, "numpy": np.__version__},
    }  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
