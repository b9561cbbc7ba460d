"""Acceptance: which images are accepted without a person, within a tolerated share of bad ones.

risk_model.py             how likely a person refuses an image, learned from labels
risk_bounds.py            how far a limit may go so that a rate holds with a stated confidence
labels.py                 people's labels, and random samples for labelling
calibration.py            a document learned from labels: the risk model, and counts along it
calibrate.py              labels of the catalog, or of a file, as input for a calibration
promoted_calibration.py   which calibration is in use
gate.py                   the acceptance gate of a run: accept, review, or another attempt
shift_detector.py         whether images still look as they did when they were labelled
drift.py                  whether a run differs from earlier runs, measure by measure
distance.py               the distance between the outputs of two releases
outputs.py                scores of what runs and models made
report.py                 results: shares, escapes with their bounds, agreement, shift
"""
