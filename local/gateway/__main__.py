"""The local API Gateway: `python -m local.gateway --host H --api-port P --stream-port P`.

The functions find their tables and the management API by their own variables
(`functions/settings.py`). 0 on SIGTERM, 2 for bad usage, 1 when a port is taken.
"""

import asyncio
import sys

from functions.settings import VARIABLES, settings
from local.gateway.server import serve
from local.gateway.settings import read_settings
from marketdata.errors import InputError, TapedeckError


def main() -> int:
    """Run until told to stop."""
    try:
        given = read_settings(None)
        settings().having(*VARIABLES)
        asyncio.run(serve(given))
    except TapedeckError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InputError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
