"""Inference forms of the model: the same answers from the same weights, sooner.

The classes in :mod:`mobile_sam.modeling` say what the model computes and are what is
trained and saved. The forms here are made from loaded weights, for inference only; they
never change the model that they are made from. docs/performance.md says what each of
them gains, and how that was measured.
"""
