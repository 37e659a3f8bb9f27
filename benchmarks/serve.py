"""Load on the real server with the public tool hey: requests a second, p50 and p99 at rising concurrency, memory.

    python benchmarks/serve.py PROJECT PICTURE [--seconds 5] [--requests 100000] [--out FILE]

First a few seconds at each concurrency, then so many requests in all, most of them at 64 at once; memory is looked at
every 10,000. Processor time beside wall time: the latter says little on a machine that others use as well.
Needs scarce[serve], a project with a @champion, and hey (Debian's package hey).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

CONCURRENCY = (1, 4, 16, 64)
SHARES = {1: 0.01, 4: 0.02, 16: 0.1, 64: 0.87}
"""Of the requests, by how many come at once."""
EACH = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--requests", type=int, default=100_000, help="for the look at memory; 0 = leave it out")
    parser.add_argument("--out", type=Path, help="write what was found as JSON, after each step")
    given = parser.parse_args()
    hey = shutil.which("hey") or sys.exit("hey is not installed: apt-get install hey")
    words = [sys.executable, "-m", "scarce", "serve", str(given.project), "--port", "0", "--json"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    body: dict = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0], "steps": []}
    try:
        said = json.loads(server.stdout.readline())
        url, body["model"] = said["url"], said["champion"]
        load = [hey, "-t", "60", "-m", "POST", "-T", "application/octet-stream", "-D", str(given.picture)]

        def step(limit: list[str], count: int) -> None:
            before = cpu(server.pid)
            found = told([*load, *limit, "-c", str(count), f"{url}/predict"])
            spent = cpu(server.pid) - before
            found["processor_ms_each"] = 1000 * spent / max(found["answers"].get("200", 0), 1)
            done = sum(row["answers"].get("200", 0) for row in body["steps"]) + found["answers"].get("200", 0)
            found |= {"concurrency": count, "answered_so_far": done, "resident_mb": resident(url)}
            found["load"] = os.getloadavg()[0]
            body["steps"].append(found)
            print(json.dumps(found), flush=True)
            if given.out is not None:
                given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")

        for count in CONCURRENCY:
            step(["-z", f"{given.seconds:g}s"], count)
        for count, share in SHARES.items():
            left = int(given.requests * share)
            while left > 0:
                step(["-n", str(-(-min(left, EACH) // count) * count)], count)
                left -= EACH
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def told(words: list[str]) -> dict:
    """Return what hey says."""
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    numbers = {share: 1000 * float(value) for share, value in re.findall(r"(50|99)% in ([\d.]+) secs", text)}
    return {
        "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "p50_ms": numbers.get("50"), "p99_ms": numbers.get("99"),
        "answers": {status: int(count) for status, count in re.findall(r"\[(\d+)\]\s+(\d+) responses", text)},
        "errors": "Error distribution" in text,
    }  # fmt: skip


def cpu(process: int) -> float:
    """Return the processor seconds that a process has used (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(url: str) -> float:
    """Return the server's memory in MB, as its metrics say."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        text = answer.read().decode()
    return float(re.search(r"^process_resident_memory_bytes ([\d.e+]+)", text, re.MULTILINE)[1]) / 1e6


if __name__ == "__main__":
    main()
