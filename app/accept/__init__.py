"""Assurance: the share of bad pictures that may slip through, and what is accepted within it.

ordering.py     pictures by how likely a person would refuse them, learned from labels
bounds.py       how far a limit may go so that a rate surely holds
lots.py         who is looked at first: fair samples
calibration.py  labels become a document: the ordering, and counts along it
shift.py        whether pictures still look as they did when they were labelled
drift.py        whether a run wanders from those before it, measure by measure
distance.py     how far what two releases make lies apart
outputs.py      what runs and models made, in numbers
guard.py        the judge's second word in a run: sure enough, for people, or another attempt
labels.py       what people said of pictures, kept            kept.py    which document decides now
learn.py        the catalog's labels, or a file of them, for a calibration
report.py       what came of it: shares, escapes with their bounds, agreement, shift
"""
