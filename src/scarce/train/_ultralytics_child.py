"""Runs inside an environment with Ultralytics (AGPL) and never inside scarce: jobs come and answers go as files.

``python _ultralytics_child.py JOB.json``: ``do`` is ``train`` or ``predict``; the answer is a line of JSON
behind ``MARK``. Weights leave as plain arrays (npz) with the network's description, so that nobody opens a pickle.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

MARK = "scarce-ultralytics:"


def main() -> None:
    """Do one job; end when scarce does."""
    threading.Thread(target=_follow, daemon=True).start()
    import ultralytics

    ultralytics.settings.update({"sync": False})  # no statistics to anybody
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if job.get("threads"):
        import torch

        torch.set_num_threads(int(job["threads"]))
    told = {"train": train, "predict": predict}[job["do"]](job)
    sys.stdout.write(MARK + json.dumps({"version": ultralytics.__version__, **told}) + "\n")


def train(job: dict[str, Any]) -> dict[str, Any]:
    """Train, or go on where a training was broken off, and write the best weights."""
    import numpy as np
    from ultralytics import YOLO

    last = Path(job["args"]["project"], job["args"]["name"], "weights", "last.pt")
    if job["resume"] and last.is_file() and _unfinished(last):
        network = YOLO(str(last))
        network.train(resume=True)
    else:
        network = YOLO(job["network"], task="detect")
        network.train(**job["args"])
    folder = Path(network.trainer.save_dir)
    best = YOLO(str(next(path for path in (network.trainer.best, network.trainer.last) if Path(path).is_file())))
    tensors = {name: value.detach().float().cpu().numpy() for name, value in best.model.state_dict().items()}
    np.savez(job["out"], **tensors)
    # keys of the network's classes are numbers, and JSON has none
    design = {key: value for key, value in best.model.yaml.items() if key not in ("yaml_file", "names")}
    return {"results": str(folder / "results.csv"), "design": json.loads(json.dumps(design))}


def _follow() -> None:
    sys.stdin.read()  # until scarce closes it, or is killed
    os._exit(3)


def _unfinished(last: Path) -> bool:
    import torch

    state = torch.load(last, map_location="cpu", weights_only=False)  # written by this very training
    return int(state.get("epoch", -1)) >= 0


def predict(job: dict[str, Any]) -> dict[str, Any]:
    """Build the network from its description, put the weights in, and write the boxes of each picture."""
    import numpy as np
    import torch
    from ultralytics import YOLO

    path = Path(job["folder"], job["network"])
    path.write_text(json.dumps(job["design"]), encoding="utf-8")  # JSON is YAML
    network = YOLO(str(path), task="detect")
    with np.load(job["weights"], allow_pickle=False) as arrays:
        network.model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    out = []
    for picture in job["pictures"]:
        found = network.predict(picture, verbose=False, save=False, **job["args"])[0].boxes
        out.append({"corners": found.xyxy.tolist(), "codes": found.cls.int().tolist(), "scores": found.conf.tolist()})
    Path(job["out"]).write_text(json.dumps(out), encoding="utf-8")
    return {}


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file, which has an ultralytics.py of its own
    main()
