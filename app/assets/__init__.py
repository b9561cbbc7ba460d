"""What can be done with stored assets: select, export, replay, repair."""
