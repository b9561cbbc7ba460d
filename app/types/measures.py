"""The names of every number that a check can give, each with what it means."""

from enum import StrEnum


class Measure(StrEnum):
    """Every number a check can give; a plan's rules may use these names."""

    DECODES = "decodes"
    """1 when the file is a whole PNG with 8-bit RGBA pixels in sRGB, else 0."""
    SIZE_ERROR = "size_error"
    """|width - asked| + |height - asked| in pixels; 0 is exact."""
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
    """1 - blur effect (Crete et al. 2007) over alpha and the picture on mid grey, 0 to 1."""
    FRINGE = "fringe"
    """Mean difference of edge pixels' colour from the solid pixels beside them, 0 to 1; 0 is clean.

    Edge pixels have an alpha from 0.1 to 0.9; a ground's colour left in a cutout's edge shows.
    """
    HALO = "halo"
    """Alpha away from the object's edge as a share of its opaque area, 0 to 1; 0 is none."""
    NOISE = "noise"
    """Standard deviation of pixel noise inside the object (Immerkaer 1996, by median), 0 to 1."""
    BLOTCHES = "blotches"
    """Spread of colour across its local line, as a share of that along it, 0 to 1; 0 is pure.

    The tenth percentile over the object, seen at 64 pixels: tinted patches raise it, shading and
    edges do not.
    """
    BANDING = "banding"
    """How surely its shading is rounded to too few levels, 0 to 1."""
    BLOCKINESS = "blockiness"
    """How much fewer details it has in JPEG's own 8 x 8 blocks than in shifted ones, 0 to 1."""
    CLIPPING = "clipping"
    """Share of the opaque area that is pure white or pure black, 0 to 1."""
    SEAM = "seam"
    """How much harsher the step across opposite borders is than those beside it, 0 to 1.

    0 is a texture that repeats without a seam.
    """
    AGREEMENT = "agreement"
    """The image-text critic's probability that picture and prompt belong together, 0 to 1."""
    STYLE = "style"
    """Probability that it is in the style that its prompt names, 0 to 1; 1 where none is named.

    This and the next four are learned: of the model's own look alone, by whom `looks` belong to.
    """
    ON_MODEL = "on_model"
    """Probability that its colours are those of a thing in the colour its prompt names, 0 to 1."""
    FINISHED = "finished"
    """Probability that it was painted to the end, 0 to 1; too few steps lower it."""
    CRISP = "crisp"
    """Probability that it is crisp, 0 to 1; a slight blur lowers it already."""
    COMPOSITION = "composition"
    """Probability that its subject is whole, in the middle and of a fair size, 0 to 1."""
    TEXT_ERROR = "text_error"
    """Share of the characters of the worst text layer that OCR reads otherwise; 0 is exact."""
    TEXT_CONTRAST = "text_contrast"
    """Contrast (WCAG 2) of dark and light in the faintest text layer's box, 1 to 21."""
    DUPLICATE_DISTANCE = "duplicate_distance"
    """How far the nearest accepted picture is, 0 to 64: bits of a hash, and its sketch's word.

    Bits that differ between the perceptual hashes; where few do, how much the two sketches differ,
    in 255ths, if that is more. Below 3 it is the same picture touched up.
    """
    LIKENESS = "likeness"
    """SSIM (Wang et al. 2004) with a reference picture, both on mid grey, -1 to 1; 1 is the same.

    This and the next two are there only where a reference is given.
    """
    DIFFERENCE = "difference"
    """What an eye sees change between a reference and this, by NVIDIA's FLIP, 0 to 1; 0 is none."""
    PALETTE_DISTANCE = "palette_distance"
    """How far the colours lie from a reference's, in units of CIE Lab; 2.3 is just noticeable."""
    PALETTE_ERROR = "palette_error"
    """How far nine tenths of the opaque area lie at most from a brand's nearest colour, in CIE Lab.

    This and the next six are there only where a plan has a brand that names them.
    """
    LIGHT_ERROR = "light_error"
    """Degrees between where the light comes from and where a brand has it, 0 to 180."""
    SUBJECT_SHARE = "subject_share"
    """The larger of the subject's width and height as a share of the canvas's, 0 to 1."""
    MARGIN = "margin"
    """The least distance from the subject to an edge, as a share of the shorter side, 0 to 0.5."""
    OFF_CENTRE = "off_centre"
    """How far the subject's middle is from the canvas's, as a share of the shorter side, 0 to 1."""
    GROUND_ERROR = "ground_error"
    """The share of the outermost pixel ring that is not the brand's ground, 0 to 1."""
    RESOLUTION = "resolution"
    """The shorter side of the picture as it was generated, in pixels."""
    RISK = "risk"
    """How likely a person would refuse it, 0 to 1, as learned of labels; no rule may name it."""
