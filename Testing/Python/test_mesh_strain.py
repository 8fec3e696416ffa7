"""Strain on a moving surface, on tubes whose deformation is known."""

import numpy as np
import pytest

from BiVMeshLib.anatomy.strain import circumferential_strain_percent

UP = np.array([0.0, 0.0, 2.0])
ROUND, ALONG = 240, 12


@pytest.fixture(scope="module")
def tube():
    """Nodes (N, 3) of a tube round the third axis, radius 20 and length 60 mm, triangles (F, 3), and (N,) angles."""
    angle, height = np.meshgrid(np.arange(ROUND) * 2 * np.pi / ROUND, np.linspace(0, 60, ALONG), indexing="ij")
    nodes = np.stack([20 * np.cos(angle), 20 * np.sin(angle), height], -1).reshape(-1, 3)
    first = (np.arange(ROUND)[:, None] * ALONG + np.arange(ALONG - 1)).ravel()
    over = (first + ALONG) % len(nodes)
    triangles = np.concatenate([np.stack([first, over, first + 1], 1), np.stack([over, over + 1, first + 1], 1)])
    return nodes, triangles, angle.ravel()


@pytest.mark.parametrize("radial, along", [(0.8, 1.0), (1.0, 0.8), (1.1, 0.9), (1.0, 1.0)])
def test_only_what_is_round_the_axis_counts(tube, radial, along):
    nodes, triangles, _ = tube
    found = circumferential_strain_percent(triangles, nodes, nodes * [radial, radial, along] + [3, -2, 7], UP)
    np.testing.assert_allclose(found, 100 * (radial - 1), atol=0.05)


def test_twist_lengthens_as_a_shear_does(tube):
    """A tube that is twisted by 0.3 rad over its length keeps its circumference."""
    nodes, triangles, angle = tube
    turned = angle + 0.3 * nodes[:, 2] / 60
    twisted = np.stack([20 * np.cos(turned), 20 * np.sin(turned), nodes[:, 2]], 1)
    np.testing.assert_allclose(circumferential_strain_percent(triangles, nodes, twisted, UP), 0.0, atol=0.05)


def test_a_flat_base_counts_round_its_middle():
    """A disc across the axis that grows by a tenth; a triangle without area does not count."""
    angle = np.arange(ROUND) * 2 * np.pi / ROUND
    disc = np.concatenate([[[5.0, 5.0, 0.0]], np.stack([5 + np.cos(angle), 5 + np.sin(angle), 0 * angle], 1)])
    rim = np.arange(1, ROUND + 1)
    triangles = np.stack([np.zeros_like(rim), rim, np.roll(rim, -1)], 1)
    triangles, disc = np.concatenate([triangles, [[1, 1, 241]]]), np.concatenate([disc, [[9.0, 9.0, 0.0]]])
    found = circumferential_strain_percent(triangles, disc, 1.1 * disc, UP)
    np.testing.assert_allclose(found[:-1], 10.0, atol=1e-4)
    assert found[-1] == 0.0
