"""How the tests are shared out among the workers of `make test`. Loaded by conftest.py."""

from xdist.scheduler import LoadScopeScheduling

STACKS = "whole stacks"
TOGETHER = {
    "tests/e2e": STACKS,
    "tests/local/test_stack.py": STACKS,
    "tests/local/test_whole_stack.py": STACKS,
    "tests/documents/test_programs.py": STACKS,
    "tests/infra": "templates",
}
"""What one worker does alone. A whole stack is twelve processes: two at once starve each other.
The templates of the CDK are dear to make, and kept for a session."""
FIRST = (STACKS, "templates")
"""What begins first, so that nobody is left with it when the others are done."""


def scope_of(nodeid):
    """What is never torn apart: mostly a module."""
    module = nodeid.partition("::")[0]
    return TOGETHER.get(module) or TOGETHER.get("/".join(module.split("/")[:2])) or module


def place(nodeid):
    """Where a test comes in the order; equal for those that may come in any."""
    scope = scope_of(nodeid)
    return FIRST.index(scope) if scope in FIRST else len(FIRST)


class ScopeScheduling(LoadScopeScheduling):
    """`--dist loadscope` with these scopes."""

    def _split_scope(self, nodeid):
        return scope_of(nodeid)
