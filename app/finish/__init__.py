"""Finishing: turns a checked image into one clean, trimmed file per target size.

finish.py  the steps in order
cutout.py  clean alpha (haze, specks) and colour under transparent pixels
trim.py    the trim rectangle and the pivot
"""
