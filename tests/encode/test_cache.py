from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from scarce.encode import FeatureCache
from scarce.lineage import digest

PRINT = "f" * 32


def made(start: int, count: int, width: int = 5) -> tuple[list[str], np.ndarray]:
    keys = [digest(str(number)) for number in range(start, start + count)]
    return keys, (np.arange(start, start + count)[:, None] + np.arange(width)).astype(np.float16)


def test_gives_back_what_was_put_in_any_order(tmp_path):
    cache = FeatureCache(tmp_path)
    keys, features = made(0, 20)
    cache.put(PRINT, keys[:12], features[:12])
    cache.put(PRINT, keys[12:18], features[12:18])
    asked = [keys[i] for i in (19, 3, 15, 3, 0)]
    known, found = FeatureCache(tmp_path).get(PRINT, asked)
    assert known.tolist() == [False, True, True, True, True]
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, features[[3, 15, 3, 0]])


def test_another_encoder_knows_nothing(tmp_path):
    cache = FeatureCache(tmp_path)
    keys, features = made(0, 4)
    cache.put(PRINT, keys, features)
    known, found = cache.get("e" * 32, keys)
    assert not known.any()
    assert found.shape[0] == 0
    assert cache.get(PRINT, ["", ""])[0].tolist() == [False, False]
    assert not FeatureCache(tmp_path / "nowhere").get(PRINT, keys)[0].any()


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "text"])
def test_a_damaged_shard_is_removed_and_unknown(tmp_path, damage):
    cache = FeatureCache(tmp_path)
    keys, features = made(0, 200)
    cache.put(PRINT, keys, features)
    more, others = made(500, 3)
    cache.put(PRINT, more, others)
    first = min((tmp_path / PRINT).glob("*.npz"))
    data = bytearray(first.read_bytes())
    if damage == "truncate":
        data = data[: len(data) // 2]
    elif damage == "flip":
        data[-1500] ^= 0xFF
    else:
        data = bytearray(b"" if damage == "empty" else b"not an archive")
    first.write_bytes(data)
    known, found = cache.get(PRINT, [*keys, *more])
    assert known.sum() == 3
    np.testing.assert_array_equal(found, others)
    assert not first.exists()
    cache.put(PRINT, keys, features)
    assert cache.get(PRINT, keys)[0].all()


def test_many_shards_become_one(tmp_path):
    cache = FeatureCache(tmp_path)
    for start in range(70):
        cache.put(PRINT, *made(start, 2))
    assert len(list((tmp_path / PRINT).glob("*.npz"))) < 10
    keys, features = made(0, 71)
    known, found = cache.get(PRINT, keys)
    assert known.all()
    np.testing.assert_array_equal(found, features)


def test_quota_removes_the_longest_unused_first(tmp_path):
    cache = FeatureCache(tmp_path)
    parts = [made(100 * part, 100, 50) for part in range(4)]
    for age, part in enumerate(parts):
        cache.put(PRINT, *part)
        newest = max((tmp_path / PRINT).glob("*.npz"))
        os.utime(newest, (1_000_000 + age, 1_000_000 + age))
    cache.get(PRINT, parts[0][0])
    one = cache.size_bytes() // 4
    freed = cache.prune(int(2.5 * one))
    assert freed >= one
    assert cache.size_bytes() <= 2.5 * one
    left = [bool(cache.get(PRINT, keys)[0].all()) for keys, _ in parts]
    assert left == [True, False, False, True]


def test_what_a_killed_process_left_is_cleaned_up(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.put(PRINT, *made(0, 2))
    old, fresh = tmp_path / PRINT / "a.tmp", tmp_path / PRINT / "b.tmp"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    cache.prune()
    assert not old.exists()
    assert fresh.exists()


WRITER = """
import sys
import numpy as np
from scarce.encode import FeatureCache
from scarce.lineage import digest
folder, which, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for start in range(which * 10_000, which * 10_000 + 3 * rounds, 3):
    keys = [digest(str(number)) for number in range(start, start + 5)]
    features = (np.arange(start, start + 5)[:, None] + np.arange(5)).astype(np.float16)
    FeatureCache(folder).put("f" * 32, keys, features)
"""


def writer(folder: Path, which: int, rounds: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(which), str(rounds)])


def test_two_processes_write_at_once(tmp_path):
    workers = [writer(tmp_path, which, 24) for which in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    for which in range(2):
        keys, features = made(which * 10_000, 74)
        known, found = FeatureCache(tmp_path).get(PRINT, keys)
        assert known.all()
        np.testing.assert_array_equal(found, features)


def test_a_killed_writer_leaves_whole_shards(tmp_path):
    worker = writer(tmp_path, 0, 100_000)
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("*/*.npz"))) < 5 and time.monotonic() < until:
        assert worker.poll() is None
    worker.kill()
    worker.wait(10)
    keys, features = made(0, 12)
    known, found = FeatureCache(tmp_path).get(PRINT, keys)
    assert known.all()
    np.testing.assert_array_equal(found, features)
