"""Experiments that answer one question on your own data, each in the time that it is given, and resumable.

A study measures and decides nothing. It appends every result to a file, so that one that was interrupted, or ran out of
time, goes on where it stopped.
"""

from __future__ import annotations

from scarce.study._base import AbstractStudy, Finding

__all__ = ["AbstractStudy", "Finding"]
