"""Real processes: interrupts, a closed pipe, a full disk, stdout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scarce import io, modality
from scarce.cli._screen import RESUME
from scarce.project import Project

SCARCE = [sys.executable, "-c", "import sys; from scarce.cli import main; sys.exit(main())"]
SLOW = """
import os, sys, signal, threading
import scarce.split as split
inner = split.run
def run(*args, **options):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    signal.pause()
split.run = run
from scarce.cli import main
sys.exit(main())
"""


def scarce(*words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SCARCE, *(str(word) for word in words)], capture_output=True, text=True, check=False,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


def test_stdout_is_one_json_object_and_stderr_plain(project: Path) -> None:
    done = scarce("status", project, "--json")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["head"] == "v1"
    assert "\x1b[" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupt_leaves_the_last_version_whole(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SLOW, "split", str(project), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert RESUME in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["exit_code"] == 130
    with Project.open(project) as opened:
        assert opened.head == "v1"
        opened.store.verify("v1")
    assert scarce("split", project).returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupt_anywhere(photos: Path, tmp_path: Path) -> None:
    """Interrupt a whole run after a while; it says so and ends, wherever it was."""
    words = ["run", str(photos), "--project", str(tmp_path / "p"), "--encoder", "pixel"]
    process = subprocess.Popen([*SCARCE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not (tmp_path / "p" / ".scarce" / "project.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    with Project.open(tmp_path / "p") as opened:
        assert opened.head is None


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_closed_pipe_is_no_fault(project: Path) -> None:
    done = subprocess.run(
        f"'{sys.executable}' -c 'import sys; from scarce.cli import main; sys.exit(main())' log '{project}' | true",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="limits of a process")
def test_a_disk_without_room_is_said(photos: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048)); "
    words = [sys.executable, "-c", limit + SCARCE[2], "init", str(tmp_path / "p"), "--from", str(photos)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "a fault in scarce itself" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.slow
def test_a_name_that_is_no_text(photos: Path, tmp_path: Path) -> None:
    for name in ("Bag", "Coat"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for file in sorted((photos / name).glob("[0-9]*.png"))[:4]:
            (tmp_path / "data" / name / file.name).write_bytes(file.read_bytes())
    odd = os.fsencode(tmp_path / "data" / "Bag") + b"/caf\xe9.png"
    Path(os.fsdecode(odd)).write_bytes(next((photos / "Bag").glob("[0-9]*.png")).read_bytes())
    done = scarce("init", tmp_path / "p", "--from", tmp_path / "data")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert json.loads(scarce("status", tmp_path / "p", "--json").stdout)["kept"] >= 8


@pytest.mark.slow
def test_names_in_any_alphabet(photos: Path, tmp_path: Path) -> None:
    source = tmp_path / "Fotos für 猫"
    for old, new in (("Bag", "tasche_ä"), ("Coat", "外套")):
        (source / new).mkdir(parents=True)
        for file in sorted((photos / old).glob("[0-9]*.png"))[:6]:
            (source / new / f"ü {file.name}").write_bytes(file.read_bytes())
    env = {"PYTHONIOENCODING": "ascii"}
    done = scarce("init", tmp_path / "p", "--from", source, env=env)
    assert done.returncode == 0, done.stderr
    done = scarce("status", tmp_path / "p", env=env)
    assert done.returncode == 0, done.stderr
    body = json.loads(scarce("status", tmp_path / "p", "--json", env=env).stdout)
    assert body["classes"] == {"tasche_ä": 6, "外套": 6}


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "scarce", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: scarce COMMAND" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "scarce", "nosuch"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
@pytest.mark.timeout(60)
def test_a_named_pipe_is_set_aside(photos: Path, tmp_path: Path) -> None:
    """Nobody writes to it, and nobody waits for it."""
    source = tmp_path / "photos"
    shutil.copytree(photos, source)
    os.mkfifo(source / "Coat" / "pipe.png")
    ds = modality.scan(io.read(source))
    row = ds.table["uri"].to_pylist().index("Coat/pipe.png")
    assert not ds["keep"][row]
    assert ds["drop_reason"][row] == "broken: not a regular file"
    assert ds["keep"].sum() == modality.scan(io.read(photos))["keep"].sum()
