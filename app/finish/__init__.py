"""Finishing: turns a checked image into one clean, trimmed file per target size.

finish.py  the steps in order, and the pivot
cutout.py  clean alpha (haze, specks), the trim rectangle, colour under transparent pixels
"""
