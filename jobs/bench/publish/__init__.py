"""The benchmark of the store: rows per second and the driver's memory."""
