"""The HTTP application: endpoints, keys, limits, server-sent events and the page."""
