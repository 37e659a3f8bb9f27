"""Malformed requests on the real server: what they are answered, how long that takes, and what memory they leave.

    python benchmarks/serve_malformed.py PROJECT PICTURE [--requests 10000] [--out FILE]

Broken and odd pictures, decompression bombs, forms, JSON and heads, as drawn by tests/flywheel/malformed.py. Each
answer's status is counted: 5xx, or no answer within 30 seconds (hang), would be a fault. Needs scarce[serve].
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from serve import resident
from tests.flywheel.malformed import storm

EACH = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    words = [sys.executable, "-m", "scarce", "serve", str(given.project), "--port", "0", "--json"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    body: dict = {"requests": 0, "answers": {}, "longest_seconds": 0.0, "steps": []}
    try:
        url = json.loads(server.stdout.readline())["url"]
        pictures = [given.picture.read_bytes()]
        since = time.monotonic()
        while body["requests"] < given.requests:
            found, longest = storm(int(url.rpartition(":")[2]), pictures, first=body["requests"], count=EACH, threads=8)
            body["requests"] += EACH
            for status, count in found.items():
                body["answers"][status] = body["answers"].get(status, 0) + count
            body["longest_seconds"] = max(body["longest_seconds"], longest)
            body["steps"].append({"requests": body["requests"], "resident_mb": resident(url)})
            body["seconds"] = time.monotonic() - since
            print(json.dumps({**body, "steps": body["steps"][-1]}), flush=True)
            if given.out is not None:
                given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


if __name__ == "__main__":
    main()
