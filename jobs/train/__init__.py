"""Training of the models that ship with Atelier, and the defects its checks are measured on."""
