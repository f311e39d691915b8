"""Sample data for File > Open Sample: simulated images with their truth, and two real pictures.

Nothing is downloaded: the simulated ones are computed, the real ones lie in the scikit-image
package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mobile_sam.training.simulate import Simulated

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keywords and type of a layer, as npe2 wants them."""


def simulated_nuclei() -> Simulated:
    """Simulate the volume of nuclei that the demo works on: uint16 (20, 256, 256), ZYX."""
    from mobile_sam.training.simulate import simulate

    return simulate(
        'nuclei',
        (20, 256, 256),
        seed=6,
        size=32,
        crowding=0.55,
        noise=0.35,
        blur=0.8,
        haze=0.25,
        illumination=0.3,
        anisotropy=3.0,
        dtype='uint16',
    )


def nuclei_stack() -> list[LayerData]:
    """Give a simulated volume of stained nuclei, and its true labels as a hidden layer."""
    simulated = simulated_nuclei()
    return with_truth(simulated.image, simulated.labels, simulated.voxel_size, 'nuclei (simulated)')


def cells_2d() -> list[LayerData]:
    """Give a simulated picture of cells with stained membranes, and its true labels, hidden."""
    from mobile_sam.training.simulate import simulate

    simulated = simulate(
        'cells', (384, 384), seed=24, size=44, crowding=0.8, noise=0.3, blur=0.8, haze=0.2
    )
    return with_truth(simulated.image, simulated.labels, simulated.voxel_size, 'cells (simulated)')


def cell() -> list[LayerData]:
    """Give scikit-image's picture of one cell: uint8 (660, 550)."""
    from skimage import data

    return [(data.cell(), {'name': 'cell'}, 'image')]


def coins() -> list[LayerData]:
    """Give scikit-image's picture of 24 coins: uint8 (303, 384)."""
    from skimage import data

    return [(data.coins(), {'name': 'coins'}, 'image')]


def with_truth(
    image: NDArray[Any], labels: NDArray[np.int32], voxel_size: tuple[float, ...], name: str
) -> list[LayerData]:
    """Make layers of a simulated image and, hidden, of its true labels.

    Parameters
    ----------
    image, labels : ndarray
        (Y, X) or (Z, Y, X).
    voxel_size : tuple of float
        µm per pixel of each axis.
    name : str
        Of the image's layer.
    """
    # Every layer gets the units: a single one without them would turn conversion off in the viewer.
    space: dict[str, Any] = {
        'scale': voxel_size,
        'units': ('micrometer',) * labels.ndim,
        'axis_labels': ('z', 'y', 'x')[-labels.ndim :],
    }
    return [
        (image, {'name': name, **space}, 'image'),
        (labels, {'name': f'{name}: truth', 'visible': False, **space}, 'labels'),
    ]
