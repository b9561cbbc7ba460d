"""Text in real fonts, from a name and a string to painted pixels; `typography.py` is the way in.

fonts.py     fonts by name, read with limits    coverage.py  which characters a font can set
shaping.py   a font at one size, by HarfBuzz    breaking.py  where lines break, evenly
layout.py    the largest size that fits         dress.py     outline, plate, shadow: their room
drawing.py   coverage, undercoat, ink           contrast.py  WCAG against what is behind
masks.py     widened and closed by distance
"""
