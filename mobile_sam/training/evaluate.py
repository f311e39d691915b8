"""``python -m mobile_sam.training.evaluate``: compare weights on the held-out groups."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from .data import Reader, read_items, split_items

logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> None:
    """Evaluate each of the given weights on the same planes and objects; log a table for each."""
    parser = argparse.ArgumentParser(
        'python -m mobile_sam.training.evaluate', description=main.__doc__
    )
    parser.add_argument('--data', type=Path, required=True, help='folder, as for training')
    parser.add_argument('--weights', type=Path, required=True, nargs='+', help='checkpoint files')
    parser.add_argument('--images', type=int, help='at most so many planes per modality')
    parser.add_argument('--objects', type=int, help='at most so many objects per plane')
    parser.add_argument('--corrections', type=int, default=3, help='clicks after the first one')
    parser.add_argument('--json', type=Path, help='folder for one JSON report per file')
    parser.add_argument('--device', default='cpu')
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format='%(message)s')

    from mobile_sam.build_sam import build_sam_vit_t

    from .loop import initialise
    from .validate import Evaluator, table, write_report

    evaluator = Evaluator(
        split_items(read_items(options.data))[1],
        images=options.images,
        objects=options.objects,
        corrections=options.corrections,
        reader=Reader(),
    )
    for path in options.weights:
        model = build_sam_vit_t()
        initialise(model, path)
        report = evaluator(model.to(options.device).eval())
        logger.info('%s\n\n%s\n', path, table(report))
        if options.json is not None:
            options.json.mkdir(parents=True, exist_ok=True)
            write_report(report, options.json / f'{path.stem}.json')


if __name__ == '__main__':
    main()
