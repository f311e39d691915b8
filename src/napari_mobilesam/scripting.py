"""The scripting API: segment from Python what the widget would, with the same engine.

::

    from napari_mobilesam import Session

    session = Session.open('stack.tif')
    session.segment(points=[(12, 140, 225)])  # slice, row, column
    session.export('labels.tif')
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_mobilesam import engine
from napari_mobilesam.engine import (
    Annotator,
    EverythingOptions,
    Frame,
    IntensityMapping,
    Making,
    OverlapRule,
    PlacedMask,
    PlaneKey,
    PlaneSource,
    PromptedPlane,
    Prompts,
    SegmentedObject,
    Segmenter,
    Step,
    TidyOptions,
    plan_commit,
    plan_removal,
    segment_everything,
)
from napari_mobilesam.engine.regions import Region
from napari_mobilesam.exchange import ExchangeError, Segmentation, load
from napari_mobilesam.exchange import export as export_segmentation
from napari_mobilesam.exchange.identity import ImageIdentity, identify
from napari_mobilesam.exchange.images import Picture, from_array, open_image
from napari_mobilesam.exchange.session_file import find_image, load_session, save_session
from napari_mobilesam.exchange.views import segmentation_of

if TYPE_CHECKING:
    import pandas

    from .scripting_stack import Stack

Point = Sequence[float]
Overlap = Literal['keep', 'replace']


class Session:
    """An image, a model, labels and their objects: what the Annotator has, without a window.

    Make one with `open` or `load`. Coordinates are those of the image's axes, pixel centres at
    integers: (row, column) of a picture, (slice, row, column) of a stack.

    Parameters
    ----------
    picture : Picture
        The image.
    segmenter : Segmenter, optional
        The model, which several sessions may share; by default `weights` are loaded when the
        first mask is asked for.
    weights : str or path-like, optional
        A checkpoint, by name or file. By default the bundled one.
    device : str
        ``'auto'``, ``'cpu'``, ``'cuda'``, ``'mps'``.
    mapping : IntensityMapping, optional
        How pixel values become the picture that the model sees. By default by percentiles.
    labels : ndarray of int, optional
        Of the shape of the image. By default empty, int32.
    objects : engine.Session, optional
        What is known of the objects in `labels`.
    """

    def __init__(
        self,
        picture: Picture,
        *,
        segmenter: Segmenter | None = None,
        weights: str | Path | None = None,
        device: str = 'auto',
        mapping: IntensityMapping | None = None,
        labels: NDArray[Any] | None = None,
        objects: engine.Session | None = None,
    ) -> None:
        if labels is None:
            labels = np.zeros(picture.shape, np.int32)
        if labels.shape != picture.shape:
            raise ExchangeError(
                f'labels have the shape of the image, {picture.shape}; got {labels.shape}'
            )
        self._picture = picture
        self._weights, self._device = weights, device
        self._annotator = None if segmenter is None else Annotator(segmenter)
        self._mapping = mapping or IntensityMapping()
        self._labels = labels
        if objects is None:
            objects = engine.Session()
            objects.learn(engine.list_objects(labels).values())
        self._objects = objects
        self._identity: ImageIdentity | None = None
        self._sources: dict[PlaneKey, PlaneSource] = {}

    # -- making one

    @classmethod
    def open(
        cls,
        image: Any,
        *,
        axes: str = '',
        scale: tuple[float, ...] = (),
        unit: str = 'pixel',
        rgb: bool = False,
        labels: Any = None,
        weights: str | Path | None = None,
        segmenter: Segmenter | None = None,
        device: str = 'auto',
        mapping: IntensityMapping | None = None,
    ) -> Session:
        """Begin with an image.

        Parameters
        ----------
        image : path-like or array-like
            A TIFF, PNG, JPEG, npy or OME-Zarr; or pixels, any number of axes.
        axes, scale, unit, rgb
            Of an array; files tell. Axes are letters of ``tczyx``, colours (`rgb`) not counted.
        labels : path-like or array-like of int, optional
            Objects that are there already.
        weights, segmenter, device, mapping
            As of the class.

        Raises
        ------
        ExchangeError
            If something cannot be read, or does not fit together.
        """
        if isinstance(image, str | Path):
            picture = open_image(image)
        else:
            picture = from_array(image, axes, scale, unit, rgb=rgb)
        if isinstance(labels, str | Path):
            labels = load(labels, shape=picture.shape, axes=picture.axes).labels
        if labels is not None:
            labels = np.array(Segmentation(labels).labels, np.int32)
        return cls(
            picture,
            weights=weights,
            segmenter=segmenter,
            device=device,
            mapping=mapping,
            labels=labels,
        )

    @classmethod
    def load(
        cls,
        path: str | Path,
        image: str | Path | None = None,
        *,
        weights: str | Path | None = None,
        segmenter: Segmenter | None = None,
        device: str = 'auto',
    ) -> Session:
        """Go on with a session file (``NAME.mobilesam.json``).

        Parameters
        ----------
        path : path-like
            The session file.
        image : path-like, optional
            Its image, or a folder to look for it. By default it is looked for where it was, and
            beside the session file.
        weights, segmenter, device
            As of the class.

        Raises
        ------
        PixelsDifferError
            If the image has other pixels than then.
        ExchangeError
            If the session or its image cannot be read.
        """
        saved = load_session(path)
        session = cls(
            find_image(saved, image),
            weights=weights,
            segmenter=segmenter,
            device=device,
            labels=saved.labels,
            objects=saved.session,
        )
        session._identity = saved.identity
        return session

    # -- what there is

    @property
    def labels(self) -> NDArray[np.integer]:
        """Ids, of the shape of the image; 0 is the background."""
        return self._labels

    @property
    def objects(self) -> tuple[SegmentedObject, ...]:
        """What is known of each object, by ascending id."""
        return self._objects.objects

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image, colours not counted, and of the labels."""
        return self._picture.shape

    @property
    def picture(self) -> Picture:
        """The image."""
        return self._picture

    @property
    def records(self) -> engine.Session:
        """The engine's own books: objects, classes and history."""
        return self._objects

    @property
    def annotator(self) -> Annotator:
        """What embeds and predicts. The model is loaded at first use."""
        if self._annotator is None:
            from mobile_sam.checkpoints import BUNDLED_NAME, find, load_model

            loaded = load_model(find(self._weights or BUNDLED_NAME).path)
            self._annotator = Annotator(engine.SamSegmenter(loaded, self._device))
        return self._annotator

    @property
    def segmentation(self) -> Segmentation:
        """Labels, calibration and objects, as they are exported."""
        return segmentation_of(self._picture, self._labels, self._objects)

    # -- segmenting

    def segment(
        self,
        points: Iterable[Point] = (),
        negative: Iterable[Point] = (),
        box: Sequence[Point] | None = None,
        *,
        class_name: str = '',
        overlap: Overlap = 'keep',
        candidate: int | None = None,
        prompted_only: bool = True,
    ) -> int:
        """Segment one object, and put it into the labels.

        Parameters
        ----------
        points : iterable of point
            On the object; all of the prompts on one plane.
        negative : iterable of point
            Beside it.
        box : two points, optional
            Opposite corners of a box round it.
        class_name : str
            A class for it; made where there is none of this name.
        overlap : {'keep', 'replace'}
            Whether other objects keep the pixels that both claim.
        candidate : int, optional
            Which of the masks on offer; by default the best.
        prompted_only : bool
            Keep only the connected parts that the prompts speak of.

        Returns
        -------
        int
            Its id; 0 if there is no pixel for it.

        Raises
        ------
        ValueError
            If there are no prompts, on one plane.
        PromptOutsidePlaneError
            If none lies on the image.
        """
        key, prompts = self._on_plane(list(points), list(negative), box)
        return self.segment_plane(
            key,
            prompts,
            class_name=class_name,
            overlap=overlap,
            candidate=candidate,
            prompted_only=prompted_only,
        )

    def segment_plane(
        self,
        key: PlaneKey,
        prompts: Prompts,
        *,
        class_name: str = '',
        overlap: Overlap = 'keep',
        candidate: int | None = None,
        prompted_only: bool = True,
        mapping: IntensityMapping | None = None,
        frame: Frame | None = None,
        tidy: TidyOptions | None = None,
    ) -> int:
        """Segment one object on any plane of the image, also an XZ or YZ one; see `segment`.

        Only the region `frame` is looked at, if one is given, and the mask is made tidy by `tidy`.
        """
        tidy = TidyOptions() if tidy is None else tidy
        source = self.source(key, mapping, Making(frame=frame))
        prediction = self.annotator.predict(source, prompts)
        making = Making.of(source, prediction, candidate, prompted_only, tidy)
        patch = making.patch(prediction)
        record = SegmentedObject(
            prompted=(PromptedPlane(key, prompts, making),),
            score=prediction.candidates.score(candidate),
            class_id=self._class(class_name),
            model_digest=prediction.model_digest,
            mapping=source.mapping,
        )
        placed = PlacedMask.on_plane(key, patch.mask, patch.corner, record)
        step = self._commit([placed], overlap)
        return step.changes[0].label if step is not None else 0

    def segment_each(
        self, points: Iterable[Point], *, class_name: str = '', overlap: Overlap = 'keep'
    ) -> list[int]:
        """Segment one object for each point; their ids, 0 where there was no pixel for one."""
        return [
            self.segment(points=[point], class_name=class_name, overlap=overlap) for point in points
        ]

    def segment_everything(
        self,
        planes: Iterable[tuple[int, ...]] | None = None,
        *,
        class_name: str = '',
        overlap: Overlap = 'keep',
        options: EverythingOptions | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> list[int]:
        """Segment all that looks like an object, without prompts, plane by plane.

        Parameters
        ----------
        planes : iterable of tuple of int, optional
            Their indices on the leading axes; by default all.
        class_name, overlap
            As of `segment`.
        options : EverythingOptions, optional
            What to look for: how fine the grid of points is, how good masks have to be; by default
            as good as suits the model.
        progress : callable, optional
            Told how many planes are done, and how many there are.

        Returns
        -------
        list of int
            The ids of the objects. An object is one on each plane of its own.
        """
        wanted = list(np.ndindex(self.shape[:-2])) if planes is None else list(planes)
        if options is None:
            options = EverythingOptions.suiting(self.annotator.segmenter)
        ids: list[int] = []
        for done, index in enumerate(wanted):
            if progress is not None:
                progress(done, len(wanted))
            key = self._key(tuple(index))
            placed = self._proposed(key, options, self._class(class_name))
            step = self._commit(placed, overlap, 'everything')
            if step is not None:
                ids += [change.label for change in step.changes if change.before is None]
        if progress is not None:
            progress(len(wanted), len(wanted))
        return ids

    def stack(self, axis: int | str | None = None, at: tuple[int, ...] | None = None) -> Stack:
        """Return the slices along an axis, to follow, find or refine objects through.

        Parameters
        ----------
        axis : int or str, optional
            The axis, by its number or its name; by default the last one before rows and columns.
        at : tuple of int, optional
            The place on all axes but rows and columns, of which that on `axis` does not matter; by
            default 0.

        Raises
        ------
        ValueError
            If the image has no such axis.
        """
        from .scripting_stack import Stack

        leading = len(self.shape) - 2
        names = self._picture.axes
        if axis is None:
            axis = leading - 1
        number = names.find(axis) if isinstance(axis, str) else axis
        if not 0 <= number < leading:
            raise ValueError(
                f'expected one of the axes "{names[:leading]}" before rows and columns; got {axis}'
            )
        return Stack(self, self._key((0,) * leading if at is None else at), number)

    def remove(self, label: int) -> None:
        """Remove an object from the labels."""
        self._do(plan_removal(self._objects, self._labels, [label]))

    def apply(self, step: Step) -> None:
        """Do a step that was planned, or read from a file."""
        self._do(step)

    def undo(self) -> bool:
        """Take the last step back; False if there is none."""
        step = self._objects.history.last
        if step is None:
            return False
        step.revert(self._labels)
        self._objects.step_back(step)
        return True

    def redo(self) -> bool:
        """Repeat the step undone last; False if there is none."""
        step = self._objects.history.next
        if step is None:
            return False
        step.apply(self._labels)
        self._objects.step_forward(step)
        return True

    # -- leaving

    def export(
        self,
        path: str | Path,
        format: str | None = None,  # noqa: A002
        **options: Any,
    ) -> tuple[Path, ...]:
        """Write labels, outlines or a table; how `path` ends decides.

        See `napari_mobilesam.exchange.export` for the parameters.
        """
        return export_segmentation(self.segmentation, path, format, **options)

    def save(self, path: str | Path) -> Path:
        """Save the session, to go on later; see `load`."""
        return save_session(path, self.identity, self._labels, self._objects)

    def measure(self, *, per_plane: bool = False) -> pandas.DataFrame:
        """Measure all objects: area or volume, shape, intensities, in the unit of the image."""
        from napari_mobilesam.exchange.measure import measure

        return measure(self.segmentation, per_plane=per_plane)

    @property
    def identity(self) -> ImageIdentity:
        """What the image is recognised by; reads some of its planes once."""
        if self._identity is None:
            p = self._picture
            where = '' if p.path is None else str(p.path.resolve())
            self._identity = identify(
                p.pixels, p.axes, p.scale, p.unit, rgb=p.rgb, path=where, name=p.name
            )
        return self._identity

    # -- inner

    def _key(self, index: tuple[int, ...]) -> PlaneKey:
        ndim = len(self.shape)
        return PlaneKey('', (ndim - 2, ndim - 1), index)

    def _on_plane(
        self, points: list[Point], negative: list[Point], box: Sequence[Point] | None
    ) -> tuple[PlaneKey, Prompts]:
        ndim = len(self.shape)
        given = [*points, *negative, *(box or ())]
        if not given or any(len(point) != ndim for point in given):
            raise ValueError(
                f'prompts are points of {ndim} coordinates, one for each axis of '
                f'"{self._picture.axes}"; got {given}'
            )
        indices = {tuple(int(np.floor(v + 0.5)) for v in point[:-2]) for point in given}
        if len(indices) > 1:
            raise ValueError(f'the prompts of one object lie on one plane; got {sorted(indices)}')
        corners = None
        if box is not None:
            first, second = box
            corners = (first[-2], first[-1], second[-2], second[-1])
        flat = tuple((point[-2], point[-1]) for point in (*points, *negative))
        polarity = (True,) * len(points) + (False,) * len(negative)
        return self._key(indices.pop()), Prompts(flat, polarity, corners)

    def _proposed(
        self, key: PlaneKey, options: EverythingOptions, class_id: int
    ) -> list[PlacedMask]:
        source, annotator = self.source(key), self.annotator
        embedding = annotator.embed(source)
        *_, last = segment_everything(annotator.segmenter, embedding, options)
        placed = []
        for proposal in last.proposals.select(options):
            rows, columns, mask = proposal.patch()
            record = SegmentedObject(
                prompted=(PromptedPlane(key, proposal.prompts),),
                score=proposal.score,
                class_id=class_id,
                model_digest=annotator.segmenter.digest,
                mapping=source.mapping,
            )
            placed.append(PlacedMask.on_plane(key, mask, (rows.start, columns.start), record))
        return placed

    def source(
        self, key: PlaneKey, mapping: IntensityMapping | None = None, making: Making | None = None
    ) -> PlaneSource:
        """Return a plane of the image, as the annotator takes it; the same one each time.

        Of `making` the frame is taken, and the spacing where it is recorded; else pixels have the
        sizes that the image says.
        """
        mapping = mapping or self._mapping
        spacing = None if making is None else making.spacing
        if spacing is None:
            spacing = (self._picture.scale[key.displayed[0]], self._picture.scale[key.displayed[1]])
        source = self._sources.get(key)
        if source is None or (source.mapping, source.spacing) != (mapping, spacing):
            pixels, rgb = self._picture.pixels, self._picture.rgb
            source = PlaneSource(key, pixels, mapping, rgb, spacing=spacing)
            if len(self._sources) > 256:
                self._sources.clear()
            self._sources[key] = source
        return source if making is None or making.frame is None else source.framed(making.frame)

    def region(self, key: PlaneKey) -> Region:
        """Return a plane as a region of the labels."""
        region = [(0, int(side)) for side in self.shape]
        for axis, position in zip(key.indexed, key.index, strict=True):
            region[axis] = (position, position + 1)
        return tuple(region)

    def _class(self, name: str) -> int:
        if not name:
            return 0
        classes = self._objects.classes
        if all(item.name != name for item in classes):
            self._objects.classes = classes = classes.added(name)
        return next(item.class_id for item in classes if item.name == name)

    def _commit(
        self, placed: list[PlacedMask], overlap: Overlap, title: str = 'commit'
    ) -> Step | None:
        rule = OverlapRule(overlap)
        step = plan_commit(self._objects, self._labels, placed, rule, title)
        return self._do(step)

    def _do(self, step: Step) -> Step | None:
        if not (step.edits or step.changes):
            return None
        step.apply(self._labels)
        self._objects.push(step)
        return step
