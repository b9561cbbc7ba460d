"""Packs finished sprites onto atlas pages and writes the metadata that locates them.

atlas.py   sprites to pages and back     layout.py  rectangles onto pages
formats/   one file per engine format
"""
