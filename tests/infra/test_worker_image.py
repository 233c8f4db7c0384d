"""The image: nobody's root, nothing in it but what it runs."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTRUCTION = re.compile(r"^([A-Z]+)\s+(.*)$")


def instructions():
    text = (ROOT / "container_worker" / "Dockerfile").read_text().replace("\\\n", " ")
    return [match.groups() for match in map(INSTRUCTION.match, text.splitlines()) if match]


def final_stage():
    found = instructions()
    starts = [number for number, (word, _) in enumerate(found) if word == "FROM"]
    return found[starts[-1] :]


def test_the_container_does_not_run_as_root():
    users = [value for word, value in final_stage() if word == "USER"]
    assert users
    assert users[-1].isdigit()
    assert int(users[-1]) >= 1000


def test_nothing_is_changed_after_root_is_given_up():
    words = [word for word, _ in final_stage()]
    after = words[words.index("USER") + 1 :]
    assert not set(after) & {"RUN", "COPY", "ADD"}


def test_dependencies_are_installed_by_hash_before_the_code_is_copied():
    found = instructions()
    (install,) = [
        number for number, (word, value) in enumerate(found) if "pip install" in value
    ]
    assert "--require-hashes" in found[install][1]
    copies = [
        number
        for number, (word, value) in enumerate(found)
        if word == "COPY" and value.split()[0] in ("marketdata", "container_worker")
    ]
    assert copies
    assert all(number > install for number in copies)


def test_the_container_starts_the_worker_with_a_stage_as_its_command():
    found = dict(final_stage())
    assert found["ENTRYPOINT"] == '["python", "-m", "container_worker"]'
    assert found["CMD"] == '["all"]'


def test_every_path_that_is_copied_exists_and_is_let_through():
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for word, value in instructions():
        if word != "COPY" or "--from" in value:
            continue
        source = value.split()[0]
        assert source in allowed
        assert (ROOT / source).exists()


def test_only_what_is_copied_goes_to_the_builder(small):
    (asset,) = [
        folder
        for folder in small.folder.glob("asset.*")
        if (folder / "container_worker").is_dir()
    ]
    files = {path.relative_to(asset).parts[0] for path in asset.rglob("*") if path.is_file()}
    assert files <= {".dockerignore", "container_worker", "marketdata", "requirements"}
    assert [path.name for path in (asset / "requirements").iterdir()] == ["worker.txt"]
    assert not list(asset.rglob("__pycache__"))


def test_each_lock_pins_what_its_extra_wants_at_the_versions_that_are_tested():
    import tomllib  # noqa: PLC0415

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    everything = (ROOT / "requirements" / "dev.txt").read_text()
    for extra in ("worker", "functions"):
        lock = (ROOT / "requirements" / f"{extra}.txt").read_text()
        pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
        wanted = project["dependencies"] + project["optional-dependencies"][extra]
        assert {re.match(r"[\w-]+", one)[0].lower() for one in wanted} <= pinned
        assert "--hash=sha256:" in lock
        versions = set(re.findall(r"^[a-z0-9-]+==\S+", lock, re.MULTILINE))
        assert versions <= set(re.findall(r"^[a-z0-9-]+==\S+", everything, re.MULTILINE))
        assert "://" not in lock
