"""The defect world: good images with known defects, and untouched controls.

Order: a good image -> a defect class (of pixels, files, meaning or text) -> the world -> written to
a folder, or judged by the bench. Training and evaluation use different parts of its seeds.
"""
