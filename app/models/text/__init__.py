"""Text in real fonts, from a name and a string to pixels; entry point: `app/models/typography.py`.

fonts.py     fonts by name, read with limits    shaping.py   a font at one size, by HarfBuzz
breaking.py  line breaks, evenly spaced         layout.py    the largest size that fits
outline.py   outline, plate, shadow, margins    drawing.py   glyph coverage and backdrop
contrast.py  WCAG contrast to the background    masks.py     widened and closed masks
"""
