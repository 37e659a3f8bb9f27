from __future__ import annotations

import csv
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from scarce.dataset import Dataset
    from scarce.project import Project

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["SCARCE_CACHE"] = ""  # nothing is remembered from test to test
# how long an example takes tells how busy the machine is, not whether the code is right
settings.register_profile("scarce", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("scarce")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a suite that runs in the background inherits an ignored interrupt and would hand it on to every process
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]


def find_shared_data() -> Path | None:
    """Return the folder of real data sets: what SCARCE_DATA names, or ../shared/data beside the checkout."""
    named = os.environ.get("SCARCE_DATA")
    places = [Path(named)] if named else [ROOT.parent / "shared" / "data"]
    return next((place for place in places if place.is_dir()), None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; the test is skipped where it is absent."""
    place = find_shared_data()
    if place is None:
        pytest.skip("real data sets are not here: set SCARCE_DATA, or put them in ../shared/data")
    return place


@pytest.fixture(scope="session")
def garments() -> Path:
    """The shipped slice of Fashion-MNIST: 9,000 long-tailed training and 2,000 balanced test images."""
    return ROOT / "examples" / "garments" / "garments.parquet"


@pytest.fixture(scope="session")
def fashion() -> Path:
    """The folder with the whole Fashion-MNIST in IDX files (Debian's package dataset-fashion-mnist)."""
    place = Path(os.environ.get("SCARCE_FASHION", "/usr/share/datasets/fashion-mnist"))
    if not (place / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("Fashion-MNIST is not installed: apt-get install dataset-fashion-mnist, or set SCARCE_FASHION")
    return place


@dataclass
class Postgres:
    """A PostgreSQL server of our own, in a temporary folder, run by a user who is not the administrator."""

    programs: Path
    folder: Path
    port: int

    def url(self, database: str, *, user: str = "owner", password: str = "") -> str:
        """Return the URL of a database."""
        return f"postgresql+psycopg://{user}{f':{password}' if password else ''}@127.0.0.1:{self.port}/{database}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs."""
        other: dict[str, object] = {}
        if not os.getuid():  # which PostgreSQL refuses to run as
            import pwd

            other = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
        return subprocess.run([str(self.programs / words[0]), *words[1:]], check=True, capture_output=True, text=True,
                              cwd=self.folder, timeout=60, **other)  # fmt: skip

    def make(self) -> None:
        """Make the cluster."""
        self.run("initdb", "-D", str(self.folder / "data"), "-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C")
        mine = self.folder / "data" / "pg_hba.conf"
        mine.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + mine.read_text(), encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self.run(
            "pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options
        )

    def stop(self, how: str = "fast") -> None:
        """Stop it; ``immediate`` is a crash."""
        self.run("pg_ctl", "stop", "-D", str(self.folder / "data"), "-m", how)

    def tell(self, command: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run SQL as the owner, outside of any transaction."""
        import psycopg

        with psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True) as connection:
            found = connection.execute(command)
            return found.fetchall() if found.description else []

    def database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"state_{secrets.token_hex(6)}"
        self.tell(f"CREATE DATABASE {name}")
        return self.url(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL server; skipped where its programs or the driver are missing."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: make peers")
    known = shutil.which("initdb")
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda place: int(place.parts[-3]))
    found = Path(known).resolve() if known else places[-1] if places else None
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="scarce-postgres-"))
    if not os.getuid():
        shutil.chown(folder, "nobody")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Postgres(found.parent, folder, port)
    try:
        server.make()
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a state may be kept: a file, then a database on a real PostgreSQL server."""
    if request.param == "sqlite":
        return str(tmp_path / "state.db")
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Bag")


@dataclass
class Hidden:
    """A project without training labels, and what they are."""

    project: Project
    truth: dict[str, str]

    def answer(
        self, table: Path, *, most: int = 1000, voter: str = "oracle", label: Callable[[str], str] | None = None
    ) -> int:
        """Write the questions for a label, fill in the truth, and take the answers."""
        from scarce.loop import asking

        asking.write_questions(self.project, self.project.dataset(), table, (asking.LABEL,))
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        with table.open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, asking.HEADS)
            out.writeheader()
            for row in rows[:most]:
                said = (label or self.truth.__getitem__)(row["sample"])
                out.writerow({**row, "new_label": said, "seconds": "1.5"})
        heard = asking.read_answers(self.project, self.project.dataset(), table, voter=voter)
        asking.take(self.project, heard)
        return len(heard.said)


@pytest.fixture(scope="session")
def some_garments(garments: Path) -> Dataset:
    """600 garments of four classes: 400 to train on, 200 to judge on."""
    from scarce import io
    from scarce.dataset import Dataset

    ds = io.read(garments)
    rng = np.random.default_rng(0)
    names = ds.table["label"].to_pylist()
    wanted = np.flatnonzero(np.isin(names, CLASSES))
    train, test = (rng.permutation(wanted[ds["split"][wanted] == part]) for part in ("train", "test"))
    rows = np.sort(np.concatenate([train[:400], test[:200]]))
    part = ds.take(rows)
    schema = type(ds.schema)(classes=CLASSES)
    return Dataset(schema, part.table, part.sources, steps=part.steps)


@pytest.fixture
def hidden(some_garments: Dataset, tmp_path: Path) -> Iterator[Hidden]:
    """The garments as a project: val labelled, train not."""
    from scarce.config import Config
    from scarce.project import Project

    ds = some_garments
    labels = ds.table["label"].to_pylist()
    truth = dict(zip(ds.ids.tolist(), labels, strict=True))
    train = ds["split"] == "train"
    kept = [None if hide else name for name, hide in zip(labels, train, strict=True)]
    ds = ds.with_columns({
        "split": np.where(train, "train", "val").tolist(), "label": pa.array(kept, pa.string()),
        "label_source": [None if hide else "given" for hide in train],
    })  # fmt: skip
    with Project.init(tmp_path / "p", config=Config().with_values("encode", encoder="pixel")) as project:
        project.commit(ds, "hidden")
        yield Hidden(project, truth)
