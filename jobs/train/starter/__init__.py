"""Training of the starter: the text-to-image model for icons that ships, and its critic."""
