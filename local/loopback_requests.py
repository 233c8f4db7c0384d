"""Which HTTP requests come from another site's page (design.md §9).

A browser sends the page's own site in `Origin`, and the name that it looked up in `Host`: a
name that is not this machine's has been pointed at it from outside.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether Host is a name that is not this machine's, or Origin is another site."""
    host = urlsplit(f"//{headers.get('Host', '')}").hostname or ""
    if not (_is_address(host) or _is_localhost(host)):
        return True
    origin = headers.get("Origin")
    if origin is None:
        return False
    site = urlsplit(origin).hostname or ""
    return not (site == host or _is_localhost(site))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_localhost(name: str) -> bool:
    if _is_address(name):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost" or name.endswith(".localhost")
