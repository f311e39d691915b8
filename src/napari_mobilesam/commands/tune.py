"""``napari-mobilesam tune``: find out which library encodes pictures quickest on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from ._common import Weights, fail, find_weights


def command(
    weights: Weights = None,
    forget: Annotated[
        bool, typer.Option('--forget', help='Go back to torch, and remove what was kept.')
    ] = False,
) -> None:
    """Measure the libraries that can encode pictures on the processor, and use the quickest.

    Those that are installed of OpenVINO (extra openvino) and ONNX Runtime (extra onnx) are compared
    with torch, on one picture of noise. Takes about a minute per checkpoint. The choice holds until
    a library or the number of threads changes.
    """
    from mobile_sam.checkpoints import CheckpointError, load_model
    from mobile_sam.fast.backends import BACKENDS, installed
    from mobile_sam.fast.encoder_forms import encoder_form
    from mobile_sam.modeling import TinyViT
    from napari_mobilesam.engine.encoding import tuning_of

    try:
        loaded = load_model(find_weights(weights))
    except CheckpointError as error:
        fail(str(error))
    encoder, tuning = loaded.model.image_encoder, tuning_of(loaded.digest)
    if tuning is None or not isinstance(encoder, TinyViT):
        fail('expected a MobileSAM checkpoint (vit_t); other encoders are evaluated by torch only.')
    if forget:
        tuning.forget()
        typer.echo('torch is used again.')
        return
    if not any(map(installed, BACKENDS)):
        typer.echo(
            'Only torch is installed. Others come with: '
            "pip install 'napari-mobilesam[openvino]' or 'napari-mobilesam[onnx]'"
        )
        return
    typer.echo('Measuring …', err=True)
    try:
        found = tuning.measure(encoder, encoder.img_size, encoder_form(encoder, 'cpu')[0])
    except (OSError, RuntimeError) as error:
        fail(str(error))
    for name, result in found.items():
        shown = result if isinstance(result, str) else f'{1000 * result:.0f} ms'
        typer.echo(f'{name:14} {shown}')
    best = tuning.best()
    typer.echo(f'Used from now on: {"torch" if best is None else best[1]}')
