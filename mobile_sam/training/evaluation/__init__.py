"""How good models are at what the plugin does with them: clicks, boxes, corrections, everything.

`Evaluator` lets a contestant (`SamContestant`, or a baseline) segment chosen objects of chosen
planes, prompted by a robot, and makes a `Report`. There is no random number in any of it.
"""

from __future__ import annotations

from .agreement import Agreement, agreement
from .choice import choose_items, choose_objects
from .evaluator import Evaluator
from .everything import EverythingSettings
from .model import SamContestant
from .report import Report, Scores, plain, write_report
from .tables import agreement_table, comparison, table

__all__ = [
    'Agreement',
    'Evaluator',
    'EverythingSettings',
    'Report',
    'SamContestant',
    'Scores',
    'agreement',
    'agreement_table',
    'choose_items',
    'choose_objects',
    'comparison',
    'plain',
    'table',
    'write_report',
]
