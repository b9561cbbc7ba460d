"""Finishing: from a checked image to one clean, trimmed file per target size.

finish.py  the steps in order      cutout.py  clean alpha: haze and specks
resize.py  exact sizes             trim.py    the trim rectangle, the pivot
bleed.py   colour under the transparent pixels
"""
