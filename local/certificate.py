"""A certificate of this machine's own for the simulated exchanges' wss://.

folder ─► authority, certificate, key
"""

from dataclasses import dataclass
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: what a server shows, its key, and the authority that a client trusts."""

    chain: Path
    key: Path
    authority: Path


def make_certificate(folder: Path, names: tuple[str, ...] = NAMES) -> Certificate:
    """Make an authority and a certificate for the names; the authority's key is not kept."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "chain.pem", folder / "key.pem", folder / "authority.pem")
    authority = trustme.CA()
    issued = authority.issue_cert(*names)
    authority.cert_pem.write_to_path(made.authority)
    made.chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    made.key.touch(mode=0o600)
    issued.private_key_pem.write_to_path(made.key)
    return made
