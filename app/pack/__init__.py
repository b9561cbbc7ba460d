"""Packing: finished sprites onto atlas pages, and the files that say where they stand.

atlas.py   sprites to pages and back     layout.py  rectangles onto pages
formats/   one file per engine format
"""
