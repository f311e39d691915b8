"""Simulated microscopy with ground truth by construction.

One function, `simulate`, draws a field of view of a given kind from a seed: the labels are laid out
first, the light is computed from them, and optics and camera spoil it last, so image and labels
cannot disagree. It feeds the training, the tests, the benchmarks and the demo. It needs numpy and
scipy only, neither torch nor a download.

Notes
-----
Nothing here imitates one particular dataset. The appearance of each kind was set by eye against
public pictures; numbers such as photon counts, membrane widths and halo sizes are plausible orders
of magnitude, not measurements.
"""

from __future__ import annotations

from typing import Any

from mobile_sam.training.simulate._scene import Options, Scene, Simulated

KINDS: tuple[str, ...] = (
    'nuclei',
    'cells',
    'rods',
    'yeast',
    'worms',
    'filaments',
    'tissue',
    'phase',
    'em',
    'mitochondria',
)
"""Every kind that `simulate` can draw."""

KINDS_3D: tuple[str, ...] = ('nuclei', 'cells')
"""The kinds that also come as a volume."""

# A small picture may by chance catch nothing; an image without truth is of no use to anybody.
_ATTEMPTS = 10

__all__ = ['KINDS', 'KINDS_3D', 'Options', 'Simulated', 'simulate']


def simulate(kind: str, shape: tuple[int, ...], seed: int, **options: Any) -> Simulated:
    """Draw one simulated image together with its true instance labels.

    Parameters
    ----------
    kind
        One of `KINDS`: ``'nuclei'`` (stained nuclei), ``'cells'`` (stained membranes), ``'rods'``
        (bacteria), ``'yeast'`` (budding, bright field), ``'worms'``, ``'filaments'``, ``'tissue'``
        (H&E-like, RGB), ``'phase'`` (phase contrast of adherent cells), ``'em'`` (cell profiles in
        an electron micrograph) or ``'mitochondria'`` (the same micrograph, its mitochondria
        labelled instead).
    shape
        ``(Y, X)``, or ``(Z, Y, X)`` for the kinds in `KINDS_3D`; pixels, Y and X at least 32.
    seed
        Not negative. The same kind, shape, seed and options give the same arrays.
    **options
        Fields of `Options`; what is not given is drawn at random from the seed.

    Returns
    -------
    Simulated
        ``image`` of the given shape (``tissue``: with a last axis of 3, RGB), ``labels`` int32 of
        the given shape, numbered from 1 without gaps, every label one connected component, 0 =
        background.

    Raises
    ------
    ValueError
        If the kind is unknown, the shape doesn't fit the kind, the seed is negative, an option is
        out of range, or no object of that size fits in.
    TypeError
        If an option is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f'kind must be one of {", ".join(KINDS)}; got {kind!r}.')
    shape = tuple(int(n) for n in shape)
    allowed = (2, 3) if kind in KINDS_3D else (2,)
    if len(shape) not in allowed:
        wanted = '(Y, X) or (Z, Y, X)' if kind in KINDS_3D else '(Y, X)'
        raise ValueError(f'shape of {kind!r} must be {wanted}; got {shape}.')
    if min(shape[-2:]) < 32 or min(shape) < 1:
        raise ValueError(
            f'shape must have Y and X of at least 32 pixels and no empty axis; got {shape}.'
        )
    if seed < 0:
        raise ValueError(f'seed must be 0 or more; got {seed}.')
    fixed = Options.create(options)

    # Here and not above, so that importing the package (command line, manifest) costs no scipy.
    from mobile_sam.training.simulate import _brightfield, _electron, _fluorescence, _slender

    draw = {
        'nuclei': _fluorescence.nuclei,
        'cells': _fluorescence.cells,
        'rods': _slender.rods,
        'worms': _slender.worms,
        'filaments': _slender.filaments,
        'yeast': _brightfield.yeast,
        'phase': _brightfield.phase,
        'tissue': _brightfield.tissue,
        'em': _electron.profiles,
        'mitochondria': _electron.mitochondria,
    }[kind]
    for attempt in range(_ATTEMPTS):
        scene = Scene.create(kind, shape, (seed, attempt), fixed)
        image, labels = draw(scene)
        if labels.any():
            return Simulated(image=image, labels=labels, kind=kind, voxel_size=scene.voxel_size)
    raise ValueError(
        f'no object of {kind!r} found room in {shape} with {fixed}: '
        'choose a larger shape or a smaller size.'
    )
