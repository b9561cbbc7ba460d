"""The HTTP application: endpoints, authentication, server-sent events and the page."""
