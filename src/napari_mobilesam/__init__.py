"""Annotate microscopy stacks in napari with MobileSAM.

The plugin is declared in ``napari.yaml``; `napari_mobilesam.engine` is what it computes with, and
works without napari.
"""
