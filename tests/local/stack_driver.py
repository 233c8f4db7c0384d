"""`tapedeck` with another plan: stages that behave as a test wants, the real servers or none.

python stack_driver.py '{"servers": true, "stages": {"name": "python code"}}' up --data DIR …
"""

import json
import sys

from local import stack, stack_plan
from local.processes import Command
from local.stack_plan import ServerCommands, Stage
from tapedeck import detached
from tapedeck.__main__ import main

SERVERS = {"kafka", "dynamodb", "s3", "s3-lock"}
MADE = ("topics", "tables", "bucket", "streams")


def plan(settings, ports, servers, inherited, credentials):
    env = stack_plan.child_environment(settings, ports, inherited)
    stages = [
        Stage(
            Command(name, (sys.executable, "-S", "-c", code), env),
            needs=MADE if WANTED["servers"] else (),
            end=1,
        )
        for name, code in WANTED["stages"].items()
    ]
    if not WANTED["servers"]:
        return stages
    real = stack_plan.plan(settings, ports, servers, inherited, credentials)
    return [one for one in real if one.name in SERVERS] + stages


detached.COMMAND = (sys.executable, *sys.argv[:2])
WANTED = json.loads(sys.argv.pop(1))
stack.plan = plan
if not WANTED["servers"]:
    stack.provisions = lambda *_: []
    stack._server_commands = lambda *_: ServerCommands((), (), ())
sys.argv[0] = "tapedeck"
main()
