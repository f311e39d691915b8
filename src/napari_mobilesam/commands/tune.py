"""``napari-mobilesam tune``: find out which library encodes pictures quickest on this machine."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ._common import Weights, fail, find_weights

if TYPE_CHECKING:
    from mobile_sam.fast.backends import Encode
    from mobile_sam.fast.tuning import Tuning
    from mobile_sam.modeling import Sam


# Of mean IoU, after a click or after a box. More would be seen.
_TOLERATED = 0.01


def command(
    weights: Weights = None,
    int8: Annotated[
        bool,
        typer.Option(
            '--int8',
            help='Make an encoder with products of 8-bit integers, to be chosen as a precision.',
        ),
    ] = False,
    forget: Annotated[
        bool, typer.Option('--forget', help='Go back to torch, and remove what was kept.')
    ] = False,
) -> None:
    """Measure the libraries that can encode pictures on the processor, and use the quickest.

    Those that are installed of OpenVINO (extra openvino) and ONNX Runtime (extra onnx) are compared
    with torch, on one picture of noise. Takes about a minute per checkpoint. The choice holds until
    a library or the number of threads changes.

    With --int8 the encoder is rounded first: made with the extra onnx, and worth it with openvino.
    It is kept if it is quicker, and if masks of simulated pictures lose less than 0.01 of mean IoU;
    features differ by a few hundredths, so it is never used unasked. Takes some minutes.
    """
    from mobile_sam.checkpoints import CheckpointError, load_model
    from mobile_sam.fast.backends import BACKENDS, installed
    from mobile_sam.fast.encoder_forms import encoder_form
    from mobile_sam.modeling import TinyViT
    from napari_mobilesam.engine.devices import FLOAT32, INT8
    from napari_mobilesam.engine.encoding import tuning_of

    try:
        model = (loaded := load_model(find_weights(weights))).model
    except CheckpointError as error:
        fail(str(error))
    exact, rounded = (tuning_of(loaded.digest, precision) for precision in (FLOAT32, INT8))
    if exact is None or rounded is None or not isinstance(model.image_encoder, TinyViT):
        fail('expected a MobileSAM checkpoint (vit_t); other encoders are evaluated by torch only.')
    if forget:
        exact.forget()
        rounded.forget()
        typer.echo('torch is used again.')
        return
    if not any(map(installed, BACKENDS)):
        typer.echo(
            'Only torch is installed. Others come with: '
            "pip install 'napari-mobilesam[openvino]' or 'napari-mobilesam[onnx]'"
        )
        return
    typer.echo('Measuring …', err=True)
    fast, _ = encoder_form(model.image_encoder, 'cpu')
    try:
        found = _rounded(rounded, model, fast) if int8 else _exact(exact, model, fast)
    except (OSError, RuntimeError) as error:
        fail(str(error))
    for name, result in found.items():
        shown = result if isinstance(result, str) else f'{1000 * result:.0f} ms'
        typer.echo(f'{name:14} {shown}')
    if not int8:
        typer.echo(f'Used from now on: {exact.choice or "torch"}')
    elif rounded.choice:
        typer.echo(f'Offered from now on as the precision int8: {rounded.choice}')
    else:
        typer.echo('int8 is not offered, as nothing gains by it here.')


def _exact(tuning: Tuning, model: Sam, fast: Encode) -> dict[str, float | str]:
    from mobile_sam.fast.tuning import other_features
    from mobile_sam.utils.onnx import export_prepared_encoder

    encoder, side = model.image_encoder, model.image_encoder.img_size
    return tuning.measure(
        fast,
        side,
        lambda path: export_prepared_encoder(encoder, side, path),
        other_features(fast, side),
    )


def _rounded(tuning: Tuning, model: Sam, fast: Encode) -> dict[str, float | str]:
    from mobile_sam.fast.quantised import prepared, quantise
    from mobile_sam.training.evaluation.encoders import encoder_loss, pictures_of_each_kind
    from mobile_sam.utils.onnx import export_prepared_encoder

    encoder, side = model.image_encoder, model.image_encoder.img_size

    def write(path: Path) -> None:
        with TemporaryDirectory() as folder:
            graph = export_prepared_encoder(encoder, side, Path(folder) / 'encoder.onnx')
            some = (prepared(model, sample.image) for sample in pictures_of_each_kind(seed=1))
            quantise(graph, some, path)

    def objection(encode: Encode) -> str:
        loss = encoder_loss(model, encode, pictures_of_each_kind(seed=2))
        typer.echo(
            f'Mean IoU of {loss.objects} simulated objects, float32 and int8: '
            f'{loss.click[0]:.3f} and {loss.click[1]:.3f} after a click, '
            f'{loss.box[0]:.3f} and {loss.box[1]:.3f} after a box'
        )
        return f'masks lose {loss.largest:.3f} of IoU' if loss.largest >= _TOLERATED else ''

    return tuning.measure(fast, side, write, objection)
