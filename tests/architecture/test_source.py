"""What the house promises of its own source, checked on every file."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("marketdata", "container_worker", "functions", "infra", "local", "tapedeck")
ENVIRONMENT_READERS = {
    "container_worker": {"container_worker/settings.py"},
    "functions": {"functions/settings.py"},
    "local": {"local/environment.py"},
    "marketdata": set(),
}
OUTERMOST = {
    "container_worker/__main__.py",
    "container_worker/outermost.py",  # a thread's outermost frame: told to whom it concerns
    "local/background.py",  # a thread's outermost frame: raised again where it is asked for
}
FLOATS = {
    "container_worker/variables.py": "seconds of a setting",
}
BAGS = {"utils", "helpers", "common", "constants", "misc"}


def sources(*packages: str) -> Iterator[tuple[str, ast.Module, str]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            yield path.relative_to(ROOT).as_posix(), ast.parse(text), text


def test_no_file_is_over_300_lines() -> None:
    long = {name: text.count("\n") for name, _, text in sources(*PACKAGES)}
    assert {name: lines for name, lines in long.items() if lines > 300} == {}


def test_no_function_is_over_40_lines() -> None:
    long = [
        f"{name}:{node.lineno} {node.name}"
        for name, tree, _ in sources(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 40
    ]
    assert long == []


def test_no_module_is_a_bag() -> None:
    assert [name for name, _, _ in sources(*PACKAGES) if Path(name).stem in BAGS] == []


def test_the_environment_is_read_in_one_module_a_deployable() -> None:
    readers = {
        package: {
            name
            for name, tree, _ in sources(package)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr in {"environ", "getenv"}
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        }
        for package in ENVIRONMENT_READERS
    }
    assert {
        package: sorted(found - ENVIRONMENT_READERS[package])
        for package, found in readers.items()
        if found - ENVIRONMENT_READERS[package]
    } == {}


def test_no_price_becomes_a_float() -> None:
    calls = [
        f"{name}:{node.lineno}"
        for name, tree, _ in sources("marketdata", "container_worker", "functions")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "float"
        and name not in FLOATS
    ]
    assert calls == []


def test_everything_is_caught_only_in_an_outermost_loop() -> None:
    broad = [
        f"{name}:{node.lineno}"
        for name, tree, _ in sources(*PACKAGES)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and _is_broad(node.type)
        and not _raises_again(node)
        and name not in OUTERMOST
    ]
    assert broad == []


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(one) for one in caught.elts)
    return caught is None or (
        isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"}
    )


def _is_sleep(call: ast.Call) -> bool:
    """`asyncio.sleep(0)` is no sleep: it lets the other tasks have their turn."""
    name = call.func
    return (
        isinstance(name, ast.Attribute)
        and name.attr == "sleep"
        and isinstance(name.value, ast.Name)
        and name.value.id in {"time", "asyncio"}
        and not (isinstance(call.args[0], ast.Constant) and call.args[0].value == 0)
    )


def test_nothing_sleeps_in_a_test() -> None:
    sleeps = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path.name != "waiting.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _is_sleep(node)
    ]
    assert sleeps == []
