"""The defect world: good pictures, spoilt on purpose by named classes, and untouched controls.

good -> a class (pixels, files, meanings or texts) -> world -> written, or judged by the bench.
Whatever learns from it takes another part of its seeds than whatever is measured on it.
"""
