from __future__ import annotations

import numpy as np

from scarce.encode.table import Table


def test_holes_are_marked_and_nothing_is_fitted():
    rows = [np.array([1.0, np.nan, -np.e + 1]), np.array([0.0, 2.0, np.inf])]
    found = Table().embed(rows)
    np.testing.assert_allclose(found[0], [1, 0, 1 - np.e, np.log(2), 0, -1, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(found[1], [0, 2, 0, 0, np.log(3), 0, 0, 0, 1], atol=1e-6)
    np.testing.assert_array_equal(Table().embed(rows[1:])[0], found[1])
