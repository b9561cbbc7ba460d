"""Training of the appearance model: a small network that scores the style, colour, finish, focus
and composition of images.

Order: pictures -> defects -> learning -> figures and a card; `train.py` has the whole flow.
"""
