"""The only place where napari layers and dims turn into engine values, and back.

Everything here goes through world coordinates and the layers' own methods (`data_to_world`,
`world_to_data`), so scale, translate, rotate, shear, affine, `dims.order` and layers with fewer
axes than the viewer need no case of their own. No Qt, no model: it runs on a `ViewerModel`.
"""

from __future__ import annotations

from .identity import add_picture, identifier, middle_index, unit_of
from .labels import LabelsPlane, labels_plane, largest_label, new_labels_array
from .objects import crop_reader, displayed_axes, go_to, size_text, where_text
from .pictures import (
    ImageChannel,
    PictureChoice,
    Samples,
    channels_of,
    picture_source,
    visible_frame,
    with_intensity,
)
from .planes import (
    NotAnnotatable,
    area_text,
    copy_transform,
    draw_overlay,
    first_image,
    image_shape,
    mapping_as_displayed,
    overlay_geometry,
    plane_key,
    plane_position,
    spatial_keywords,
    unwrap,
)
from .prompts import (
    AREAS,
    NEGATIVE,
    POLARITY,
    POSITIVE,
    STROKES,
    image_coordinates,
    objects_on_plane,
    points_on_plane,
    prompted_slices,
    prompts_on_plane,
    shapes_on_plane,
)
from .stacks import go_to_slice, label_slices, slice_distance, slider_axes
from .tracks import add_tracks, track_grid

__all__ = [
    'AREAS',
    'NEGATIVE',
    'POLARITY',
    'POSITIVE',
    'STROKES',
    'ImageChannel',
    'LabelsPlane',
    'NotAnnotatable',
    'PictureChoice',
    'Samples',
    'add_picture',
    'add_tracks',
    'area_text',
    'channels_of',
    'copy_transform',
    'crop_reader',
    'displayed_axes',
    'draw_overlay',
    'first_image',
    'go_to',
    'go_to_slice',
    'identifier',
    'image_coordinates',
    'image_shape',
    'label_slices',
    'labels_plane',
    'largest_label',
    'mapping_as_displayed',
    'middle_index',
    'new_labels_array',
    'objects_on_plane',
    'overlay_geometry',
    'picture_source',
    'plane_key',
    'plane_position',
    'points_on_plane',
    'prompted_slices',
    'prompts_on_plane',
    'shapes_on_plane',
    'size_text',
    'slice_distance',
    'slider_axes',
    'spatial_keywords',
    'track_grid',
    'unit_of',
    'unwrap',
    'visible_frame',
    'where_text',
    'with_intensity',
]
