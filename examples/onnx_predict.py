"""Classify pictures with a file of `scarce export --format onnx`, without scarce: onnxruntime, OpenCV and NumPy.

    python examples/onnx_predict.py model.onnx photos/*.jpg

Prints one line of JSON a picture: file, class, probability, verdict. The graph normalizes, calibrates and rejects by
itself; what is left to do is to open a picture as scarce does (8 bits a channel, no transparency) and to squeeze it.
The verdict `unknown` needs the detector in the file's metadata, which `scarce predict` reads.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

REDUCED = {
    8: (cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
}


def opened(path, side):
    """Return gray (H, W) or RGB (H, W, 3) uint8; a large JPEG at 1/2, 1/4 or 1/8, as long as it keeps `side` pixels."""
    raw = np.fromfile(path, np.uint8)
    picture = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED) if raw.size else None
    if picture is None:
        raise ValueError("it cannot be read")
    gray = picture.ndim == 2
    by = next((by for by in REDUCED if min(picture.shape[:2]) // by >= side), 1)
    if by > 1 and raw[:2].tolist() == [0xFF, 0xD8]:
        how = REDUCED[by][gray]
    else:
        how = cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR
    picture = cv2.imdecode(raw, how)
    return picture if gray else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def squeezed(picture, shape):
    """Return (S, S, C) uint8."""
    side, _, channels = shape
    if channels == 1 and picture.ndim == 3:
        same = (picture == picture[..., :1]).all()
        picture = picture[..., 0] if same else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if channels == 3 and picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    if picture.shape[:2] != (side, side):
        shrinks = min(picture.shape[:2]) >= side
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return picture.reshape(side, side, channels)


def judged(session, card, inputs, path):
    """Return class, probability and verdict of one file."""
    given = {one["name"]: squeezed(opened(path, one["shape"][0]), one["shape"])[None] for one in inputs}
    found = dict(zip([one.name for one in session.get_outputs()], session.run(None, given), strict=True))
    probs, classes = found["probabilities"][0].astype(float), card["classes"]
    order = np.argsort(-probs, kind="stable")
    least = (card.get("ambiguous") or {}).get("threshold", 2.0)
    left = [classes[code] for place, code in enumerate(order) if place == 0 or probs[code] >= least - 1e-12]
    normal = set(card.get("normal_classes", ()))
    if "reject" in found and card.get("operating_point"):
        verdict = "reject" if found["reject"][0] else "accept" if set(left) <= normal else "ambiguous"
    elif len(left) > 1:
        verdict = "ambiguous"
    else:
        verdict = "accept" if card.get("ambiguous") and not normal else None
    return {"class": classes[order[0]], "probability": probs[order[0]], "verdict": verdict}


def main(model, *files):
    """Print what the model says about each file."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    held = session.get_modelmeta().custom_metadata_map
    card, inputs = json.loads(held["scarce.card"]), json.loads(held["scarce.inputs"])
    if any(one["kind"] != "pictures" for one in inputs):
        sys.exit(f"{model} takes {inputs[0]['kind']}, not pictures: use scarce predict")
    for path in files:
        try:
            answer = judged(session, card, inputs, path)
        except (OSError, ValueError) as error:
            answer = {"error": str(error)}
        print(json.dumps({"path": str(Path(path)), **answer}))


if __name__ == "__main__":
    main(*sys.argv[1:])
