"""Transmitted light: yeast, adherent cells in phase contrast, stained tissue."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mobile_sam.training.simulate._fluorescence import per_object, scatter
from mobile_sam.training.simulate._layout import (
    Canvas,
    Floats,
    Labels,
    ellipsoid,
    fractal_noise,
    grid,
    smooth_noise,
    tube,
)
from mobile_sam.training.simulate._optics import blur, develop, digitise, illumination, wide_blur
from mobile_sam.training.simulate._scene import Scene
from mobile_sam.training.simulate._slender import phase_contrast, wander


def yeast(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """Budding yeast: near-round cells in clumps, buds as cells of their own, dark wall, bright
    halo, vacuoles.
    """
    rng = scene.rng
    canvas = Canvas(scene.shape)
    size = scene.size
    wanted = int(np.clip((0.05 + 0.5 * scene.crowding) * np.prod(scene.shape) / size**2, 2, 300))
    mothers: list[tuple[NDArray[np.float64], float]] = []
    for _ in range(6 * wanted):
        if canvas.count >= wanted:
            break
        radius = 0.5 * size * np.exp(0.14 * rng.standard_normal())
        if mothers and rng.random() < 0.85:
            near, other = mothers[rng.integers(len(mothers))]
            if rng.random() < 0.35:
                radius *= rng.uniform(0.4, 0.7)  # a bud
            angle = rng.uniform(0, 2 * np.pi)
            centre = near + (radius + other) * rng.uniform(0.98, 1.08) * np.array(
                [np.sin(angle), np.cos(angle)]
            )
        else:
            centre = rng.uniform(0, 1, 2) * scene.shape
        window = canvas.window(centre, 1.4 * radius + 2)
        if window is None or canvas.taken(centre):
            continue
        stretch = np.exp(rng.normal(0, 0.07))
        level = ellipsoid(
            rng, grid(window, centre, (1.0, 1.0)), (radius * stretch, radius / stretch), 0.04
        )
        if canvas.put(window, level, 0.06):
            mothers.append((np.asarray(centre), radius))
    canvas.finish(min_area=max(12, int(0.08 * size**2)))
    labels, level = canvas.labels, np.clip(canvas.level, 0, 1)
    inside = (labels > 0).astype(np.float32)
    # 1 - level is the squared distance from the centre: the wall is where it nears 1.
    edge = 1 - np.sqrt(np.clip(1 - level, 0, 1))
    wall = inside * np.exp(-((edge / float(rng.uniform(0.09, 0.2))) ** 2))
    outside = wide_blur(inside, 0.1 * size) * (1 - inside)
    spots = smooth_noise(rng, scene.shape, size / 3)
    vacuole = inside / (1 + np.exp(-7 * (spots - 0.9))) * np.clip(2 * edge, 0, 1)
    grain = fractal_noise(rng, scene.shape, size / 8, 2) * inside
    focus = float(rng.choice([-1.0, 1.0]))  # above or below focus, wall and halo trade places
    body = float(rng.uniform(-0.12, 0.1)) * per_object(rng, canvas.count, 0.3)[labels]
    tone = float(rng.uniform(0.42, 0.6))
    light = (
        tone
        + body * edge
        + focus * (float(rng.uniform(0.4, 0.9)) * outside - float(rng.uniform(0.2, 0.4)) * wall)
    )
    light = light + 0.03 * grain + float(rng.choice([-0.14, 0.1])) * vacuole
    ground = 0.015 * fractal_noise(rng, scene.shape, 2 * size, 3)
    others = np.maximum(smooth_noise(rng, scene.shape, 1.5 * size) - 0.9, 0) * scene.haze
    shadow = 0.06 * (others - wide_blur(others, size))
    return develop(scene, np.asarray(light + ground - shadow, dtype=np.float32)), labels


def spread_cell(
    scene: Scene, canvas: Canvas, centre: NDArray[np.float64], ragged: float, spindle: float
) -> tuple[tuple[slice, ...], Floats] | None:
    """Level of one adherent cell: a flat body drawn out into processes."""
    rng = scene.rng
    reach = 0.5 * scene.size * np.exp(0.2 * rng.standard_normal())
    window = canvas.window(centre, 3.2 * reach)
    if window is None:
        return None
    rows, columns = grid(window, centre, (1.0, 1.0))
    # The outline is drawn in warped space: membranes are never smooth curves.
    size = [s.stop - s.start for s in window]
    rows = rows + ragged * reach * smooth_noise(rng, size, 0.7 * reach)
    columns = columns + ragged * reach * smooth_noise(rng, size, 0.7 * reach)
    axis = rng.uniform(0, np.pi)
    level = ellipsoid(
        rng, [rows, columns], (reach * np.exp(-0.5 * spindle), reach * np.exp(0.2 * spindle)), 0.25
    )
    for _ in range(int(rng.integers(0, 5))):
        angle = axis + np.pi * rng.integers(2) + rng.normal(0, 0.9 - 0.5 * spindle)
        bends = rng.normal(0, 0.12, 7)
        long = reach * rng.uniform(0.9, 2.2)
        path = wander(rng, np.zeros(2), angle, long / 7, bends)
        arm, _ = tube([rows, columns], path, np.linspace(0.5, rng.uniform(0.05, 0.14), 8) * reach)
        level = np.maximum(level, 0.6 * arm)
    return window, np.asarray(level, dtype=np.float32)


def phase(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """Adherent cells in phase contrast: flat bodies with processes, halos, and rounded-up bright
    cells.
    """
    rng, size = scene.rng, scene.size
    canvas = Canvas(scene.shape)
    wanted = int(np.clip((0.04 + 0.42 * scene.crowding) * np.prod(scene.shape) / size**2, 2, 200))
    ragged, spindle = float(rng.uniform(0.05, 0.22)), float(rng.uniform(0, 1.6))
    round_share = float(rng.choice([0.0, 0.1, 0.3]))
    is_round: list[bool] = [False]
    for _ in range(4 * wanted):
        if canvas.count >= wanted:
            break
        centre = rng.uniform(0, 1, 2) * scene.shape
        if canvas.taken(centre):
            continue
        rounded = bool(rng.random() < round_share)
        if rounded:
            radius = 0.27 * size * np.exp(0.15 * rng.standard_normal())
            window = canvas.window(centre, 1.4 * radius + 2)
            if window is None:
                continue
            level = ellipsoid(rng, grid(window, centre, (1.0, 1.0)), (radius, radius * 0.92), 0.06)
        else:
            spread = spread_cell(scene, canvas, centre, ragged, spindle)
            if spread is None:
                continue
            window, level = spread
        if canvas.put(window, level, 0.03 + 0.1 * scene.crowding):
            is_round.append(rounded)
    rounded_before = np.asarray(is_round)[canvas.labels]
    count = canvas.finish(min_area=max(16, int(0.06 * size**2)))
    labels = canvas.labels
    inside = labels > 0
    round_mask = rounded_before & inside
    depth = np.sqrt(np.clip(canvas.level, 0, 1))
    # The nucleus and what surrounds it make a cell thick in the middle; a flat edge of constant
    # height remains.
    flat = float(rng.uniform(0.3, 0.7))
    grain = fractal_noise(rng, scene.shape, max(size / 9, 2.5), 3)
    thick = per_object(rng, count, 0.25)[labels] * (flat + (1 - flat) * depth**2)
    thick = thick * np.clip(1 + float(rng.uniform(0.06, 0.3)) * grain, 0, None)
    # Granules gather round the nucleus and stand out dark; lamellae stay clear.
    spots = smooth_noise(rng, scene.shape, max(size / 16, 2))
    granules = np.maximum(spots - 1.3, 0) * inside * depth**2
    bodies: Floats = np.asarray(thick + float(rng.uniform(0.1, 0.5)) * granules, dtype=np.float32)
    halo = float(rng.uniform(0.06, 0.16)) * size
    light = phase_contrast(scene, bodies, halo, float(rng.uniform(0.28, 0.6)))
    # The halo is strongest right at a steep edge.
    outer = wide_blur(inside.astype(np.float32), 0.4 * halo) * ~inside
    light = light + float(rng.uniform(0.1, 0.5)) * outer
    # A rounded cell is a lens: bright inside, a dark ring, a strong halo.
    ball = np.where(round_mask, depth, 0).astype(np.float32)
    ring = wide_blur(round_mask.astype(np.float32), max(0.05 * size, 1.0))
    light = light + float(rng.uniform(0.5, 0.8)) * ball * np.clip(1 + 0.2 * grain, 0, None)
    light = light + (0.4 * wide_blur(ring, 0.1 * size) - 0.5 * ring) * ~round_mask
    return develop(scene, np.asarray(light, dtype=np.float32), grain=0.5), labels


_STAINS = {  # optical density of red, green, blue; set by eye
    'nuclear': ((0.62, 0.75, 0.26), (0.55, 0.83, 0.12), (0.75, 0.62, 0.20)),
    'ground': ((0.08, 0.42, 0.20), (0.22, 0.40, 0.12), (0.12, 0.30, 0.30)),
}


def tissue(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """H&E-like section: violet nuclei in a pink, fibrous ground with empty spaces; RGB."""
    rng, size, shape = scene.rng, scene.size, scene.shape
    canvas = scatter(
        scene,
        coverage=0.05 + 0.4 * scene.crowding,
        overlap=0.06 + 0.14 * scene.crowding,
        lobes=float(rng.uniform(0.03, 0.14)),
        elongation=float(rng.uniform(0.1, 0.4)),
        clustering=float(rng.uniform(0.2, 0.9)),
    )
    labels, level = canvas.labels, np.clip(canvas.level, 0, 1)
    inside = (labels > 0).astype(np.float32)
    # Fibres: noise stretched along a direction that itself changes slowly.
    rows, columns = np.indices(shape, dtype=np.float32)
    turn = float(rng.uniform(0, np.pi))
    bend = size * smooth_noise(rng, shape, 5 * size)
    across = rows * np.cos(turn) - columns * np.sin(turn) + bend
    along = rows * np.sin(turn) + columns * np.cos(turn) + bend
    strands = fractal_noise(rng, (2 * max(shape), 2 * max(shape)), (0.25 * size, 4 * size), 3)
    middle = float(max(shape))
    fibres = ndimage.map_coordinates(
        strands,
        [across - across.mean() + middle, along - along.mean() + middle],
        order=1,
        mode='reflect',
    )
    cloud = fractal_noise(rng, shape, 2 * size, 5)
    spaces = 1 / (
        1 + np.exp(-6 * (fractal_noise(rng, shape, 4 * size, 4) - float(rng.uniform(0.6, 2.4))))
    )
    eosin = np.clip(0.75 + float(rng.uniform(0.05, 0.4)) * fibres + 0.22 * cloud, 0.05, None) * (
        1 - 0.93 * spaces
    )
    eosin = float(rng.uniform(0.15, 1.1)) * eosin * (1 - 0.3 * inside)
    chromatin = fractal_noise(rng, shape, max(size / 5, 2), 2)
    rim = np.exp(-((level / 0.3) ** 2)) * np.clip(
        0.75 + 0.5 * smooth_noise(rng, shape, size / 4), 0, None
    )
    vesicular = float(rng.uniform(0, 0.6))  # pale nuclei with a dark rim, or evenly dark ones
    stain = per_object(rng, canvas.count, float(rng.uniform(0.1, 0.3)))[labels]
    stain = (
        stain
        * (0.72 + 0.28 * np.sqrt(level))
        * np.clip(
            0.9 + vesicular * (rim - 0.6) + float(rng.uniform(0.05, 0.3)) * chromatin, 0.2, None
        )
    )
    shadow = np.maximum(smooth_noise(rng, shape, 1.4 * size) - 1.0, 0) * 0.35 * scene.haze
    # Sections are thicker than the focus is deep: chromatin ends softly.
    stain = ndimage.gaussian_filter(
        stain * inside, max(0.5, float(rng.uniform(0.015, 0.05)) * size)
    )
    hematoxylin = float(rng.uniform(0.7, 1.6)) * (stain + blur(shadow, 0.2 * size, (1.0, 1.0)))
    vectors = [
        np.asarray(_STAINS[name][rng.integers(3)], dtype=np.float32)
        * rng.uniform(0.85, 1.15, 3).astype(np.float32)
        for name in ('nuclear', 'ground')
    ]
    density = hematoxylin[..., None] * vectors[0] + eosin[..., None] * vectors[1]
    white = float(rng.uniform(0.86, 0.98)) * rng.uniform(0.96, 1.03, 3).astype(np.float32)
    rgb = white * np.exp(-density.astype(np.float32))
    rgb = ndimage.gaussian_filter(rgb, (0.7 * scene.blur, 0.7 * scene.blur, 0))
    rgb = rgb * (1 + 0.25 * (illumination(scene) - 1))[..., None]
    grain = rng.standard_normal(rgb.shape, dtype=np.float32) * np.float32(
        0.004 + 0.03 * scene.noise**1.5
    )
    grain = grain + 0.7 * grain.mean(-1, keepdims=True)
    return digitise(np.asarray(rgb + grain, dtype=np.float32), 'uint8'), labels
