"""What `bench-refine` needs: plans whose settings are poor, and how its figures are said.

work.py   the worlds, each a model with settings, and their plans
show.py   the figures to a person          command.py  the command's options
"""
