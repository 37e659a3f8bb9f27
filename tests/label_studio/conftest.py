"""A real Label Studio server in an environment of its own, with fresh data, for as long as the tests run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scarce.label_studio import Server

ROOT = Path(__file__).parents[2]
TOKEN = "0123456789abcdef0123456789abcdef01234567"
PATIENCE_SECONDS = 900


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server; the tests are skipped where it is not installed."""
    program = ROOT / ".venv-studio" / "bin" / "label-studio"
    if not program.exists():
        pytest.skip("Label Studio is not installed: .ci/studio does it")
    folder, port = tmp_path_factory.mktemp("studio"), free_port()
    user = ["--username", "anna@example.com", "--password", "a-long-password", "--user-token", TOKEN]
    env = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true", "COLLECT_ANALYTICS": "false", "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "", "LATEST_VERSION_CHECK": "false",
        "SSRF_PROTECTION_ENABLED": "false", "ML_BLOCK_LOCAL_IP": "false",  # the backend of the test is on this machine
    }  # fmt: skip
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [program, "start", "--no-browser", "--port", str(port), "--data-dir", folder, *user],
            stdout=file, stderr=file, env=env, cwd=folder,
        )  # fmt: skip
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while not answers(port):
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < until, "Label Studio did not start"
            time.sleep(1)
        yield Server(url=f"http://127.0.0.1:{port}", token=TOKEN, timeout_seconds=120)
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
