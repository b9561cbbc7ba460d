"""Training of the upscaler: the network behind polish, which enlarges the starter's images."""
