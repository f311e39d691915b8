"""Write pip constraints that pin each direct dependency to the oldest release it allows.

python scripts/lowest.py FILE
"""

from __future__ import annotations

import re
import sys
import tomllib
from itertools import chain
from pathlib import Path

# As the environment `lowest` in tox.ini installs them.
EXTRAS = ('coco', 'parquet', 'tracking')


def main() -> None:
    """Read pyproject.toml, and write the constraints to the file named."""
    project = tomllib.loads(
        (Path(__file__).resolve().parents[1] / 'pyproject.toml').read_text(encoding='utf-8')
    )['project']
    extras = (project['optional-dependencies'][name] for name in EXTRAS)
    wanted = [*project['dependencies'], *chain.from_iterable(extras)]
    pins = []
    for requirement in wanted:
        match = re.fullmatch(r'([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)(?:,<[\w.]+)?', requirement)
        if match is None:
            sys.exit(f'expected "name>=version" in pyproject.toml, found {requirement!r}')
        pins.append(f'{match[1]}=={match[2]}')
    Path(sys.argv[1]).write_text('\n'.join(pins) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
