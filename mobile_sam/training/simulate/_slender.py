"""Long objects: rods (bacteria), worms and filaments."""

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
    fractal_noise,
    grid,
    smooth_noise,
    tube,
)
from mobile_sam.training.simulate._optics import develop, expose, wide_blur
from mobile_sam.training.simulate._scene import Scene

Path = NDArray[np.float64]


def wander(
    rng: np.random.Generator, start: Path, angle: float, step: float, bends: NDArray[np.float64]
) -> Path:
    """Path of points `step` apart that turns by `bends` (radians) at each one."""
    angles = angle + np.cumsum(bends)
    return start + np.concatenate(
        [[[0.0, 0.0]], step * np.cumsum(np.stack([np.sin(angles), np.cos(angles)], 1), 0)]
    )


def lay(canvas: Canvas, path: Path, radius: NDArray[np.float64], overlap: float) -> bool:
    """Put a tube on the canvas; False if there's no room."""
    low, high = path.min(0), path.max(0)
    centre = (low + high) / 2
    window = canvas.window(centre, float((high - low).max()) / 2 + float(radius.max()) + 2)
    if window is None:
        return False
    level, _ = tube(grid(window, centre, (1.0, 1.0)), path - centre, radius)
    return canvas.put(window, level, overlap)


def rods(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """Rod-shaped bacteria in micro-colonies; half of the fields in phase contrast, half in
    fluorescence.
    """
    rng = scene.rng
    canvas = Canvas(scene.shape)
    width = scene.size
    aspect = float(rng.uniform(2.2, 4.5))
    wanted = int(
        np.clip(
            (0.03 + 0.5 * scene.crowding**1.3) * np.prod(scene.shape) / (width * width * aspect),
            3,
            500,
        )
    )
    placed: list[tuple[Path, float, float]] = []
    for _ in range(6 * wanted):
        if canvas.count >= wanted:
            break
        length = width * aspect * rng.uniform(0.6, 1.5)
        if placed and rng.random() < 0.9:
            # Daughters lie end to end or side by side: that's what makes colonies.
            beside, direction, other = placed[rng.integers(len(placed))]
            angle = direction + rng.normal(0, 0.18)
            side = rng.random() < 0.55
            gap = (width * 1.04) if side else (length + other) / 2 + 0.06 * width
            turn = direction + (np.pi / 2 if side else 0) + (np.pi if rng.random() < 0.5 else 0)
            shift = rng.uniform(-0.4, 0.4) * length if side else 0.0
            middle = beside + gap * np.array([np.sin(turn), np.cos(turn)])
            middle = middle + shift * np.array([np.sin(direction), np.cos(direction)])
        else:
            angle = rng.uniform(0, 2 * np.pi)
            middle = rng.uniform(0, 1, 2) * scene.shape
        if canvas.taken(middle):
            continue
        points = 6
        step = max(length - width, 1.0) / points
        bends = np.full(points, rng.normal(0, 0.05))
        path = wander(rng, np.zeros(2), angle - bends.sum() / 2, step, bends)
        path = path - path.mean(0) + middle
        radius = np.full(points + 1, width / 2) * rng.uniform(0.93, 1.07)
        if length > 1.2 * width * aspect:
            radius[points // 2] *= rng.uniform(0.75, 1.0)  # about to divide
        if lay(canvas, path, radius, 0.04):
            placed.append((middle, angle, length))
    canvas.finish(min_area=max(9, int(0.3 * width * width)))
    labels, level = canvas.labels, canvas.level
    depth = np.sqrt(np.clip(level, 0, 1))
    grain = fractal_noise(rng, scene.shape, max(width / 2, 2), 2)
    if rng.random() < 0.5:
        brightness = per_object(rng, canvas.count, float(rng.uniform(0.1, 0.45)))[labels]
        rim = float(rng.choice([0.0, 0.8]))  # a membrane stain shines at the border
        light = (
            brightness
            * (depth * (1 - rim) + rim * (1.15 - depth))
            * np.clip(1 + 0.15 * grain, 0, None)
        )
        return expose(scene, light + float(rng.uniform(0.01, 0.12))), labels
    tone = per_object(rng, canvas.count, 0.12)[labels]
    return develop(
        scene, phase_contrast(scene, tone * depth, halo=1.3 * width, strength=0.45)
    ), labels


def phase_contrast(scene: Scene, thickness: Floats, halo: float, strength: float) -> Floats:
    """Positive phase contrast of a thickness map: dark bodies, bright halo outside, shade-off
    inside.

    The ring in the back focal plane also delays some of the light that the object bent little: the
    image is the thickness minus its own wide blur.
    """
    rng = scene.rng
    contrast = thickness - rng.uniform(0.75, 1.0) * wide_blur(thickness, max(halo, 1.5))
    contrast = contrast - 0.25 * ndimage.gaussian_filter(thickness, max(0.25 * halo, 1.0))
    ground = 0.02 * fractal_noise(rng, scene.shape, max(20.0, 2 * scene.size), 3)
    specks = np.maximum(smooth_noise(rng, scene.shape, 3) - 3.2, 0)
    level = float(rng.uniform(0.42, 0.62))
    dust = (0.15 + 0.35 * scene.haze) * (specks - 1.2 * ndimage.gaussian_filter(specks, 2))
    return np.asarray(level - strength * contrast + ground - dust, dtype=np.float32)


def worms(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """Worms in bright field: long, tapered, smoothly bent, dark-edged, with granular insides."""
    rng = scene.rng
    canvas = Canvas(scene.shape)
    width = scene.size
    length = width * float(rng.uniform(10, 17))
    wanted = int(
        np.clip((0.03 + 0.3 * scene.crowding) * np.prod(scene.shape) / (width * length), 2, 120)
    )
    points = 26
    taper = np.sqrt(np.clip(np.sin(np.linspace(0.06, np.pi - 0.03, points + 1)), 0, 1)) * width / 2
    for _ in range(8 * wanted):
        if canvas.count >= wanted:
            break
        bends = rng.normal(0, 0.05) + rng.uniform(0.0, 0.28) * np.sin(
            np.linspace(0, rng.uniform(1, 2.6) * np.pi, points) + rng.uniform(0, 6.3)
        )
        long = length * rng.uniform(0.65, 1.15)
        path = wander(rng, np.zeros(2), rng.uniform(0, 6.3), long / points, bends)
        path = path - path.mean(0) + rng.uniform(0, 1, 2) * scene.shape
        # Worms do cross; as each label must stay in one piece, only a little of the lower one may
        # be hidden.
        lay(canvas, path, taper * rng.uniform(0.8, 1.2), 0.02)
    canvas.finish(min_area=max(12, int(2 * width * width)))
    labels, level = canvas.labels, canvas.level
    inside = (labels > 0).astype(np.float32)
    depth = np.clip(level, 0, 1)
    granules = fractal_noise(rng, scene.shape, max(width / 4, 2), 2)
    dense = float(rng.uniform(0.12, 0.4)) * per_object(rng, canvas.count, 0.2)[labels]
    rim = float(rng.uniform(0.1, 0.45)) * inside * np.exp(-(((depth - 0.12) / 0.18) ** 2))
    shade = dense * np.sqrt(depth) * np.clip(1 + 0.5 * granules, 0.1, None)
    halo = 0.5 * (wide_blur(inside, 0.35 * width) - inside) * (1 - inside)
    ground = 0.025 * fractal_noise(rng, scene.shape, 4 * width, 3)
    tone = float(rng.uniform(0.55, 0.8))
    specks = (
        np.maximum(smooth_noise(rng, scene.shape, max(width / 4, 2)) - 3.0, 0) * 0.5 * scene.haze
    )
    return develop(
        scene, np.asarray(tone - rim - shade + 0.35 * halo + ground - specks, dtype=np.float32)
    ), labels


def filaments(scene: Scene) -> tuple[NDArray[Any], Labels]:
    """Fluorescent filaments, each one instance; one that meets another ends there."""
    rng = scene.rng
    canvas = Canvas(scene.shape)
    width = scene.size
    stiff = float(rng.uniform(0.02, 0.09))
    # Long where there is room; thick ones must still fit into the picture.
    step = min(2.0 * max(width, 2.0), max(scene.shape) / 24)
    stiff *= step / (2.0 * max(width, 2.0))
    wanted = int(
        np.clip((0.02 + 0.16 * scene.crowding) * np.prod(scene.shape) / (width * 55), 3, 160)
    )
    direction, common = rng.uniform(0, 6.3), rng.random() < 0.4  # stress fibres run parallel
    blocked = np.zeros(scene.shape, dtype=bool)
    for _ in range(5 * wanted):
        if canvas.count >= wanted:
            break
        angle = direction + rng.normal(0, 0.25) if common else rng.uniform(0, 6.3)
        bends = ndimage.gaussian_filter1d(rng.normal(0, 3 * stiff, int(rng.uniform(8, 60))), 2)
        path = wander(rng, rng.uniform(0, 1, 2) * scene.shape, angle, step, bends)
        path = path[: clear_length(path, blocked)]
        if len(path) < 5 or step * len(path) < 2 * width:
            continue
        radius = np.full(len(path), max(width / 2, 0.9))
        before = canvas.count
        if lay(canvas, path, radius, 0.0) and canvas.count > before:
            blocked = canvas_margin(canvas, blocked, path, width)
    canvas.finish(min_area=max(12, int(5 * width)))
    labels, level = canvas.labels, canvas.level
    beads = np.clip(
        1 + float(rng.uniform(0.1, 0.4)) * fractal_noise(rng, scene.shape, 5 * width, 3), 0.25, None
    )
    brightness = per_object(rng, canvas.count, float(rng.uniform(0.1, 0.4)))[labels]
    light = brightness * beads * (0.5 + 0.5 * np.sqrt(np.clip(level, 0, 1)))
    mesh = np.clip(fractal_noise(rng, scene.shape, 8 * width, 4), 0, None)
    return expose(
        scene, light + float(rng.uniform(0.0, 0.1)) * mesh + float(rng.uniform(0.01, 0.08))
    ), labels


def clear_length(path: Path, blocked: NDArray[np.bool_]) -> int:
    """How many points of a path lie inside the picture (with a margin for its end) and before any
    other object.
    """
    index = np.round(path).astype(int)
    inside = np.all((index >= -4) & (index < np.asarray(blocked.shape) + 4), axis=1)
    clipped = np.clip(index, 0, np.asarray(blocked.shape) - 1)
    stop = ~inside | blocked[tuple(clipped.T)]
    return int(np.argmax(stop)) if stop.any() else len(path)


def canvas_margin(
    canvas: Canvas, blocked: NDArray[np.bool_], path: Path, width: float
) -> NDArray[np.bool_]:
    """Block the surroundings of the newest object, so that the next one stops short of it."""
    reach = int(np.ceil(0.75 * width)) + 3
    low = np.maximum(np.floor(path.min(0)).astype(int) - 2 * reach, 0)
    high = np.ceil(path.max(0)).astype(int) + 2 * reach
    window = (slice(low[0], max(high[0], 0)), slice(low[1], max(high[1], 0)))
    newest = canvas.labels[window] == canvas.count
    if newest.any():
        blocked[window] |= ndimage.distance_transform_edt(~newest) <= reach
    return blocked
