import numpy as np

from tests.mapping.oracles import outliers
from utm.mapping.ingest.outliers import reject


def test_two_passes_of_the_statistical_filter():
    rng = np.random.default_rng(4)
    points = np.concatenate([rng.uniform(0, 10, (400, 3)), rng.uniform(14, 17, (6, 3)), [[500.0, 0, 0]]])
    points += [84_800, 447_400, 0]
    found = reject(points)
    np.testing.assert_array_equal(found, outliers(outliers(np.zeros(len(points), bool), points), points))
    assert found[-7:].all()


def test_a_handful_of_points_has_no_outliers():
    for count in (0, 1, 16):
        assert not reject(np.arange(count * 3.0).reshape(count, 3) ** 3).any()


def test_the_order_of_points_does_not_matter():
    rng = np.random.default_rng(5)
    points = rng.normal(0, 10, (2000, 3))
    order = rng.permutation(2000)
    np.testing.assert_array_equal(reject(points)[order], reject(points[order]))
