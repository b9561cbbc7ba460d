"""The names of all measures that checks compute, each with its meaning."""

from enum import StrEnum


class Measure(StrEnum):
    """The measures; a plan's rules may use these names."""

    DECODES = "decodes"
    """1 when the file is a whole PNG with 8-bit RGBA pixels in sRGB, else 0."""
    SIZE_ERROR = "size_error"
    """|width - requested| + |height - requested| in pixels; 0 is exact."""
    COVERAGE = "coverage"
    """Share of pixels at least half opaque, 0 to 1."""
    SOFTNESS = "softness"
    """Share of the visible pixels (alpha above 0.1) whose alpha stays below 0.9, 0 to 1."""
    FRAGMENTS = "fragments"
    """Specks beside the largest piece, and pinholes, as a share of the opaque area, 0 to 1."""
    BORDER = "border"
    """Largest alpha on the outermost pixel ring, 0 to 1; above 0.5 something is cut off."""
    CONTRAST = "contrast"
    """Standard deviation of luminance over the opaque area, 0 to 0.5; 0 is flat."""
    SHARPNESS = "sharpness"
    """1 - blur effect (Crete et al. 2007) over alpha and the image on mid grey, 0 to 1."""
    FRINGE = "fringe"
    """Mean difference of edge pixels' colour from the solid pixels beside them, 0 to 1; 0 is clean.

    Edge pixels have an alpha from 0.1 to 0.9. Background colour left in a cutout's edge raises it.
    """
    HALO = "halo"
    """Alpha away from the object's edge as a share of its opaque area, 0 to 1; 0 is none."""
    NOISE = "noise"
    """Standard deviation of pixel noise inside the object (Immerkaer 1996, by median), 0 to 1."""
    BLOTCHES = "blotches"
    """Spread of colour across its local line, as a share of that along it, 0 to 1; 0 is pure.

    The tenth percentile over the object at 64 pixels: tinted patches raise it, shading and edges do
    not.
    """
    BANDING = "banding"
    """Confidence that its shading is rounded to too few levels, 0 to 1."""
    BLOCKINESS = "blockiness"
    """How many fewer details it has in JPEG's own 8 x 8 blocks than in shifted ones, 0 to 1."""
    CLIPPING = "clipping"
    """Share of the opaque area that is pure white or pure black, 0 to 1."""
    SEAM = "seam"
    """How much larger the step across opposite borders is than those beside it, 0 to 1.

    0 is a texture that repeats without a seam.
    """
    AGREEMENT = "agreement"
    """The image-text critic's probability that image and prompt belong together, 0 to 1."""
    STYLE = "style"
    """Probability that it is in the style that its prompt names, 0 to 1; 1 where none is named.

    This and the next four are learned from the images of one model and hold for that model only.
    """
    ON_MODEL = "on_model"
    """Probability that its colours fit the object and colour named in its prompt, 0 to 1."""
    FINISHED = "finished"
    """Probability that it was denoised to the end, 0 to 1; too few steps lower it."""
    CRISP = "crisp"
    """Probability that it is crisp, 0 to 1; even a slight blur lowers it."""
    COMPOSITION = "composition"
    """Probability that its subject is whole, centred and of a suitable size, 0 to 1."""
    TEXT_ERROR = "text_error"
    """Share of the worst text layer's characters that OCR reads wrongly; 0 is exact."""
    TEXT_CONTRAST = "text_contrast"
    """Contrast (WCAG 2) of dark and light in the box of the faintest text layer, 1 to 21."""
    DUPLICATE_DISTANCE = "duplicate_distance"
    """Distance to the nearest accepted image, 0 to 64.

    The number of bits that differ between the perceptual hashes; where few do, the difference of
    the two thumbnails in 255ths, if that is larger. Below 3 it is the same image with small
    changes.
    """
    LIKENESS = "likeness"
    """SSIM (Wang et al. 2004) with a reference image, both on mid grey, -1 to 1; 1 is the same.

    This and the next two exist only where a reference is given.
    """
    DIFFERENCE = "difference"
    """Visible difference from a reference by NVIDIA's FLIP, 0 to 1; 0 is none."""
    PALETTE_DISTANCE = "palette_distance"
    """Distance of the colours from a reference's, in units of CIE Lab; 2.3 is just noticeable."""
    PALETTE_ERROR = "palette_error"
    """90th percentile of the opaque area's distance from the brand's nearest colour, in CIE Lab.

    This and the next six exist only where a plan has a brand that names them.
    """
    LIGHT_ERROR = "light_error"
    """Degrees between the direction of the light and the brand's, 0 to 180."""
    SUBJECT_SHARE = "subject_share"
    """The larger of the subject's width and height as a share of the canvas's, 0 to 1."""
    MARGIN = "margin"
    """Smallest distance from the subject to an edge, as a share of the shorter side, 0 to 0.5."""
    OFF_CENTRE = "off_centre"
    """Distance of the subject's middle from the canvas's, as a share of the shorter side."""
    GROUND_ERROR = "ground_error"
    """The share of the outermost pixel ring that is not the brand's background, 0 to 1."""
    RESOLUTION = "resolution"
    """The shorter side of the image as it was generated, in pixels."""
    RISK = "risk"
    """Probability that a person would reject it, 0 to 1, as learned; no rule may name it."""
