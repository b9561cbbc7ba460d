"""The looks: a small network that learns style, colour, finish, focus and composition of pictures.

pictures -> spoiling -> learning -> figures and a card; `train.py` is the whole flow.
"""
