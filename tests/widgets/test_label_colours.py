"""Objects in the colours of their classes: in the Labels layer, and only as long as wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap, label_colormap
from pictures import CENTRES

from napari_mobilesam.engine import Classes, SegmentedObject, Session
from napari_mobilesam.widgets.label_colours import NO_CLASS, LabelColours, class_colormap

Bench = Callable[..., Any]
RED, BLUE = '#ff0000', '#0000ff'
TWO = Classes().added('nucleus', RED).added('debris', BLUE)


def shown(layer: Labels, *labels: int) -> list[str]:
    """Return the colours that napari gives to ids, as #rrggbb."""
    colours = layer.colormap.map(np.array(labels, layer.data.dtype))
    assert (colours[:, 3] == 1).all()
    return ['#' + bytes(np.round(255 * rgba[:3]).astype(np.uint8)).hex() for rgba in colours]


def session_of(**classes: int) -> Session:
    session = Session()
    session.classes = TWO
    session.learn(SegmentedObject(int(label[1:]), class_id=c) for label, c in classes.items())
    return session


def test_each_object_gets_the_colour_of_its_class(bench: Bench) -> None:
    one = bench()
    one.controller.session.classes = TWO
    own = one.labels.colormap
    for class_id, centre in zip((1, 2, 0), CENTRES, strict=True):
        one.controller.class_id = class_id
        one.click(0, *centre)
        one.press('Enter')
    one.controller.colours.by_class = True
    assert shown(one.labels, 1, 2, 3) == [RED, BLUE, NO_CLASS]
    assert not one.labels.colormap.map(np.array([0]))[0].any(), 'the background stays invisible'

    # what changes in the session shows soon: a class, an undo, a colour
    one.controller.actions.set_class([3], 1)
    one.until(lambda: shown(one.labels, 3) == [RED])
    one.controller.undo()
    one.until(lambda: shown(one.labels, 3) == [NO_CLASS])
    one.controller.session.classes = TWO.changed(2, colour='#00ff00')
    one.until(lambda: shown(one.labels, 2) == ['#00ff00'])

    one.controller.colours.by_class = False
    assert one.labels.colormap is own


@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_labels_of_any_kind_with_any_ids(dtype: Any) -> None:
    session = session_of(_1=1, _2=2, _254=1)
    layer = Labels(np.zeros((4, 4), dtype))
    colours = LabelColours(True)
    colours.follow(layer, session)
    assert shown(layer, 1, 2, 3) == [RED, BLUE, NO_CLASS]
    if np.iinfo(dtype).max > 2000:
        session.learn([SegmentedObject(2000, class_id=2)])
        colours.flush()
        assert shown(layer, 1, 254, 255, 2000) == [RED, RED, NO_CLASS, BLUE]
    if np.iinfo(dtype).max > 100_000:
        session.learn([SegmentedObject(100_000, class_id=2)])
        colours.flush()
        assert isinstance(layer.colormap, CyclicLabelColormap), 'quick, whatever the ids'
        assert shown(layer, 1, 255, 100_000, 99_999) == [RED, NO_CLASS, BLUE, NO_CLASS]
        # in the table's place of 1, which has another class: another table is taken
        session.learn([SegmentedObject(2**16 - 1, class_id=2)])
        colours.flush()
        assert isinstance(layer.colormap, CyclicLabelColormap)
        assert shown(layer, 1, 2**16 - 1, 100_000) == [RED, BLUE, BLUE]


def test_more_objects_than_any_table_has_places_for() -> None:
    session = session_of()
    classes = np.random.default_rng(0).integers(1, 3, 2**16 + 10)
    session.learn(SegmentedObject(n, class_id=int(c)) for n, c in enumerate(classes, 1))
    colormap = class_colormap(session)
    assert isinstance(colormap, DirectLabelColormap), 'slow, but right'
    for n in (1, 2, 2**16 - 1, 2**16 + 10):
        assert np.allclose(colormap.map(n)[:3], (1, 0, 0) if classes[n - 1] == 1 else (0, 0, 1))


def test_t2_the_layer_gets_its_own_colours_back(bench: Bench) -> None:
    """T2: on leaving the layer, too, and what the user chose meanwhile stays."""
    one = bench()
    first, own = one.labels, one.labels.colormap
    one.controller.colours.by_class = True
    assert first.colormap is not own
    one.controller.set_labels(None)
    assert first.colormap is own
    assert shown(one.labels, 7) == [NO_CLASS]

    chosen = label_colormap(20)
    one.labels.colormap = chosen
    one.controller.session.learn([SegmentedObject(5)])
    one.until(lambda: not one.controller.colours.by_class)
    assert one.labels.colormap is chosen


def test_showing_only_the_selected_object_goes_on() -> None:
    layer = Labels(np.zeros((4, 4), np.int32))
    layer.selected_label = 2
    layer.show_selected_label = True
    colours = LabelColours(True)
    colours.follow(layer, session_of(_1=1, _2=2))
    assert layer.colormap.use_selection
    assert not layer.colormap.map(np.array([1]))[0].any()
    assert shown(layer, 2) == [BLUE]
    colours.by_class = False
    assert layer.colormap.use_selection


def test_nothing_is_drawn_anew_where_no_colour_changes() -> None:
    session = session_of(_1=1)
    layer = Labels(np.zeros((4, 4), np.int32))
    colours = LabelColours(True)
    colours.follow(layer, session)
    times: list[Any] = []
    layer.events.colormap.connect(times.append)
    session.learn([SegmentedObject(2)])
    colours.flush()
    assert not times, 'ids without a class have their colour already'
    session.learn([SegmentedObject(2, class_id=2)])
    colours.flush()
    assert len(times) == 1
