"""Stained nuclei, and cells with stained membranes; 2D and 3D."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobile_sam.training.simulate._layout import (
    Canvas,
    Floats,
    Labels,
    border_distance,
    ellipsoid,
    fractal_noise,
    grid,
    smooth_noise,
    tessellate,
    tidy,
)
from mobile_sam.training.simulate._optics import blur, expose
from mobile_sam.training.simulate._scene import Scene

_MOST_OBJECTS = 900


def scatter(
    scene: Scene,
    *,
    coverage: float,
    overlap: float,
    lobes: float,
    elongation: float,
    clustering: float,
) -> Canvas:
    """Put ellipsoids of varied size on a canvas until `coverage` of it is full.

    Parameters
    ----------
    coverage
        Fraction of the space.
    overlap
        Fraction of an object that may be hidden by those put before it.
    lobes
        Unevenness of the outlines.
    elongation
        Deviation of the logarithm of the axes' ratio.
    clustering
        Probability that an object settles beside another rather than anywhere.
    """
    rng, shape, spacing = scene.rng, scene.shape, scene.spacing
    canvas = Canvas(shape, spacing)
    volume = float(np.prod([n * p for n, p in zip(shape, spacing, strict=True)]))
    ndim = len(shape)
    one = (np.pi / 4 if ndim == 2 else np.pi / 6) * scene.size**ndim
    wanted = int(np.clip(coverage * volume / one, 2, _MOST_OBJECTS))
    spread = float(rng.uniform(0.08, 0.3))
    centres: list[NDArray[np.float64]] = []
    for _ in range(4 * wanted):
        if canvas.count >= wanted:
            break
        if centres and rng.random() < clustering:
            away = rng.standard_normal(ndim)
            away *= scene.size * rng.uniform(0.8, 1.15) / np.linalg.norm(away)
            centre = centres[rng.integers(len(centres))] + away / np.asarray(spacing)
        else:
            centre = rng.uniform(0, 1, ndim) * np.asarray(shape)
        if canvas.taken(centre):
            continue
        radius = 0.5 * scene.size * np.exp(spread * rng.standard_normal())
        ratios = np.exp(elongation * rng.standard_normal(ndim))
        radii = radius * ratios / np.prod(ratios) ** (1 / ndim)
        window = canvas.window(centre, 1.5 * float(radii.max()) + 2)
        if window is None:
            continue
        level = ellipsoid(rng, grid(window, centre, spacing), radii, lobes)
        if canvas.put(window, level, overlap):
            centres.append(np.asarray(centre))
    canvas.finish(min_area=max(9, int(0.12 * (one / np.prod(spacing)))))
    return canvas


def per_object(rng: np.random.Generator, count: int, deviation: float) -> Floats:
    """Log-normal factor for each label, index 0 (background) being 0."""
    values = np.exp(deviation * rng.standard_normal(count + 1))
    values[0] = 0
    return values.astype(np.float32)


def nuclei(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """Stained nuclei: ellipsoids with chromatin, nucleoli, the odd bright mitosis, and cytoplasm's
    faint glow.
    """
    rng, shape, spacing = scene.rng, scene.shape, scene.spacing
    canvas = scatter(
        scene,
        coverage=0.04 + 0.5 * scene.crowding**1.5,
        overlap=0.03 + 0.17 * scene.crowding,
        lobes=float(rng.uniform(0, 0.16)),
        elongation=float(rng.uniform(0.08, 0.3)),
        clustering=float(rng.uniform(0, 0.9)),
    )
    labels, level = canvas.labels, canvas.level
    brightness = per_object(rng, canvas.count, float(rng.uniform(0.1, 0.5)))
    # Condensed chromatin of dividing and dying cells shines several times brighter.
    bright = rng.random(canvas.count + 1) < rng.choice([0.0, 0.02, 0.06])
    brightness[bright] *= np.float32(rng.uniform(1.6, 2.8))
    scale = [max(scene.size / rng.uniform(5, 12) / p, 1.0) for p in spacing]
    chromatin = fractal_noise(rng, shape, scale, 3)
    flat = float(rng.uniform(0.0, 0.8))  # 1: a disc, 0: a dome, as thick as the nucleus
    body = flat + (1 - flat) * np.sqrt(np.clip(level, 0.05, 1))
    texture = 1 + float(rng.uniform(0.03, 0.28)) * chromatin
    if rng.random() < 0.6:
        spots = smooth_noise(rng, shape, [max(scene.size / 4 / p, 1.0) for p in spacing])
        texture = texture * (
            1 - float(rng.uniform(0.2, 0.6)) * (1 / (1 + np.exp(-6 * (spots - 1.5))))
        )
    light = brightness[labels] * body * np.clip(texture, 0.15, None)
    inside = (labels > 0).astype(np.float32)
    glow = blur(inside, 0.6 * scene.size, spacing, axial=1.0)
    cytoplasm = (
        float(rng.uniform(0, 0.1))
        * glow
        * np.clip(1 + 0.5 * fractal_noise(rng, shape, scale, 2), 0, None)
    )
    background = float(rng.uniform(0.0, 0.08))
    return expose(scene, light + (1 - inside) * cytoplasm + background), labels


def cells(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """Tissue or a colony whose membranes are stained, sometimes with some stain in cytoplasm or
    nucleus.
    """
    rng, shape, spacing = scene.rng, scene.shape, scene.spacing
    whole = tessellate(
        rng,
        shape,
        spacing,
        scene.size,
        irregular=float(rng.uniform(0.1, 1)),
        warp=float(rng.uniform(0.05, 0.5)),
    )
    wide = [max(3 * scene.size / p, 1.0) for p in spacing]
    # Where the tissue ends: whole cells are dropped, so that its edge is made of membranes.
    ground = fractal_noise(rng, shape, wide, 2)
    cut = float(np.quantile(ground, 0.75 * (1 - scene.crowding)))
    members = np.bincount(whole.ravel(), weights=ground.ravel()) / np.maximum(
        np.bincount(whole.ravel()), 1
    )
    members[0] = -np.inf
    kept = members >= min(cut, float(members.max()))
    labels, count = tidy(
        np.where(kept[whole], whole, 0).astype(np.int32), max(12, int(0.02 * scene.size**2))
    )
    distance = border_distance(labels, spacing)
    inside = labels > 0
    width = float(rng.uniform(0.5, 1.0)) * max(1.0, 0.035 * scene.size)
    membrane = np.exp(-0.5 * (distance / width) ** 2)
    uneven = np.clip(
        1 + float(rng.uniform(0.1, 0.45)) * fractal_noise(rng, shape, wide, 3), 0.12, None
    )
    grain = fractal_noise(rng, shape, [max(scene.size / 8 / p, 1.0) for p in spacing], 2)
    cytoplasm = float(rng.choice([0.03, 0.1, 0.3])) * per_object(rng, count, 0.4)[labels]
    cytoplasm = cytoplasm * np.clip(1 + 0.35 * grain, 0.1, None)
    if rng.random() < 0.6:
        # Nuclei keep the stain out (or, with a nuclear channel bleeding through, take it up).
        depth = np.clip(distance / (0.27 * scene.size) - 0.75, 0, 1)
        cytoplasm = cytoplasm * (1 + float(rng.choice([-0.7, 0.8])) * depth)
    light = (
        uneven * membrane * (inside | (distance < 1.5))
        + cytoplasm
        + float(rng.uniform(0.005, 0.06))
    )
    return expose(scene, light.astype(np.float32)), labels
