"""What the benchmark of services needs beyond the product, and how one comes by it."""

from importlib.util import find_spec


def lacking(package: str) -> str:
    """What to do before a package can be imported; empty when it can."""
    if find_spec(package):
        return ""
    return f"{package} is not installed; pip install -c constraints.txt -e '.[bench]'"
