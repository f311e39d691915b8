"""Validation within a run: the evaluation, on few planes and with few corrections."""

from __future__ import annotations

from .evaluation import Evaluator, table, write_report

__all__ = ['Evaluator', 'table', 'write_report']
