"""Training of the appearance model: a small network that compares an image with its request.

It scores style, colour, finish, focus and composition. Order: pictures -> defects -> learning ->
figures and a card; `train.py` has the whole flow.
"""
