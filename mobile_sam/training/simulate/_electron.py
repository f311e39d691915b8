"""Electron micrographs: cell profiles with membranes, vesicles, mitochondria, sometimes myelin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mobile_sam.training.simulate._fluorescence import per_object
from mobile_sam.training.simulate._layout import (
    Canvas,
    Floats,
    Labels,
    border_distance,
    ellipsoid,
    fractal_noise,
    grid,
    rotation,
    smooth_noise,
    tessellate,
    tidy,
)
from mobile_sam.training.simulate._optics import develop
from mobile_sam.training.simulate._scene import Scene


def profiles(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """Micrograph whose labels are the cell profiles, inside their membranes."""
    image, cells, _ = micrograph(scene, organelle_share=float(scene.rng.uniform(0, 0.5)))
    return image, cells


def mitochondria(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """Micrograph whose labels are the mitochondria."""
    image, _, organelles = micrograph(scene, organelle_share=0.9)
    return image, organelles


def micrograph(scene: Scene, organelle_share: float) -> tuple[NDArray[Any], Labels, Labels]:
    """Image, profiles and mitochondria of one section."""
    rng, size, shape = scene.rng, scene.size, scene.shape
    coarse = tessellate(
        rng,
        shape,
        (1.0, 1.0),
        size,
        irregular=float(rng.uniform(0.5, 1)),
        warp=float(rng.uniform(0.08, 0.5)),
    )
    if rng.random() < 0.7:
        # Thin processes fill what the large ones leave: a second, finer tessellation inside some
        # cells.
        fine = tessellate(rng, shape, (1.0, 1.0), max(0.38 * size, 12), irregular=0.8, warp=0.5)
        divided = rng.random(int(coarse.max()) + 1) < 0.35
        whole = np.where(divided[coarse], int(coarse.max()) + 1 + fine, coarse).astype(np.int32)
    else:
        whole = coarse
    distance = border_distance(whole, (1.0, 1.0))
    width = max(1.0, size * float(rng.uniform(0.012, 0.03)))
    myelinated = rng.random(int(whole.max()) + 1) < float(rng.choice([0.0, 0.25, 0.9]))
    sheath = np.where(myelinated, rng.uniform(2.5, 7.0, len(myelinated)), 1.0)[whole] * width
    sheath = sheath * np.clip(1 + 0.2 * smooth_noise(rng, shape, size / 3), 0.5, 1.5)
    cells, count = tidy(
        np.where(distance > sheath + 0.8, whole, 0).astype(np.int32), max(20, int(0.01 * size**2))
    )
    lumen = cells > 0
    organelles, inner, stripes = place_mitochondria(scene, lumen, organelle_share)

    bright_sheath = bool(
        rng.random() < 0.25 and myelinated.any()
    )  # scanning, back-scattered: contrast inverted
    tone = float(rng.uniform(0.6, 0.85))
    cytoplasm = tone * (1 + 0.1 * (per_object(rng, count, 0.5)[cells] - 1) * lumen)
    membrane = np.clip((sheath + 0.8 - distance) / 1.2, 0, 1)
    lamellae = 0.08 * np.sin(distance * 2 * np.pi / 3.0) * (sheath > 2.0 * width)
    ribosomes = np.maximum(smooth_noise(rng, shape, 2.0) - float(rng.uniform(0.6, 1.4)), 0)
    fine_grain = 0.05 * fractal_noise(rng, shape, 4, 2)
    image = cytoplasm - float(rng.uniform(0.06, 0.2)) * ribosomes * lumen + fine_grain
    image = image - rings(scene, lumen & (organelles == 0)) * float(rng.uniform(0.2, 0.5))
    image = image * (1 - membrane) + membrane * (float(rng.uniform(0.1, 0.28)) + lamellae)
    matrix = float(rng.uniform(0.3, 0.52)) + 0.12 * stripes + 0.5 * fine_grain
    rim = np.exp(-((inner / 0.16) ** 2)) * (organelles > 0)
    image = np.where(organelles > 0, matrix - 0.18 * rim, image)
    image = image + 0.04 * (0.3 + scene.haze) * fractal_noise(rng, shape, size, 2)
    if bright_sheath:
        image = 0.95 - image
    return develop(scene, np.asarray(image, dtype=np.float32)), cells, organelles


def place_mitochondria(
    scene: Scene, lumen: NDArray[np.bool_], share: float
) -> tuple[Labels, Floats, Floats]:
    """Labels of mitochondria inside the profiles, their level, and the stripes of their cristae
    (-1…1).
    """
    rng, size = scene.rng, scene.size
    canvas = Canvas(scene.shape)
    stripes = np.zeros(scene.shape, dtype=np.float32)
    room = ndimage.distance_transform_edt(lumen)
    wanted = int(np.clip(share * 1.6 * np.prod(scene.shape) / size**2, 1, 150))
    places = np.argwhere(room > max(3.0, 0.07 * size))
    if not len(places):
        places = np.argwhere(room >= room.max())
    for _ in range(3 * wanted):
        if canvas.count >= wanted:
            break
        centre = places[rng.integers(len(places))].astype(float)
        radius = min(
            0.95 * float(room[tuple(centre.astype(int))]), 0.17 * size * rng.uniform(0.7, 1.3)
        )
        window = canvas.window(centre, 3 * radius + 2)
        if window is None or radius < 2.5:
            continue
        coordinates = grid(window, centre, (1.0, 1.0))
        level = ellipsoid(rng, coordinates, (radius, radius * rng.uniform(1.0, 2.2)), 0.12)
        level = np.where(room[window] > 1.5, level, -1).astype(np.float32)
        before = canvas.count
        canvas.put(window, level, 0.0)
        if canvas.count > before:
            turn = rotation(rng, 2)[0]
            wave = np.sin(
                (turn[0] * coordinates[0] + turn[1] * coordinates[1])
                * 2
                * np.pi
                / max(radius / 2.2, 2.5)
            )
            own = canvas.labels[window] == canvas.count
            stripes[window][own] = wave[own]
    canvas.finish(min_area=12)
    wobble = 0.5 + 0.5 * np.clip(smooth_noise(rng, scene.shape, max(size / 12, 2)), -1, 1)
    return canvas.labels, canvas.level, stripes * wobble


def rings(scene: Scene, where: NDArray[np.bool_]) -> Floats:
    """Vesicles: small dark rings strewn in clusters."""
    rng, size = scene.rng, scene.size
    radius = max(1.6, 0.025 * size)
    crowd = smooth_noise(rng, scene.shape, 0.6 * size) > rng.uniform(0.3, 1.6)
    seeds = np.argwhere(where & crowd)
    if not len(seeds):
        return np.zeros(scene.shape, dtype=np.float32)
    number = min(int(0.05 * len(seeds) / radius**2) + 1, 4000)
    dots = np.ones(scene.shape, dtype=bool)
    dots[tuple(seeds[rng.integers(len(seeds), size=number)].T)] = False
    distance = ndimage.distance_transform_edt(dots)
    return np.asarray(np.exp(-(((distance - radius) / 0.8) ** 2)) * where, dtype=np.float32)
