"""The staged Lambda code: what is in it, when it is made again, what is refused."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra import build_functions
from infra.build_functions import STAMP, stage
from marketdata.errors import BuildError, InputError

ROOT = Path(__file__).resolve().parents[2]


def wheel(folder, name, files):
    """A real wheel, so that the real installer installs it, from a folder and no network."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    contents = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*contents, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (contents | {f"{info}/RECORD": record}).items():
            archive.writestr(file, text)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    for package in ("functions", "marketdata"):
        (folder / package / "__pycache__").mkdir(parents=True)
        (folder / package / "__init__.py").write_text("")
        (folder / package / "__pycache__" / "old.pyc").write_bytes(b"")
    (folder / "functions" / "push.py").write_text("x = 1\n")
    return folder


@pytest.fixture
def lock(tmp_path):
    (tmp_path / "wheels").mkdir()
    lines = wheel(tmp_path / "wheels", "parcel", {"parcel/__init__.py": "y = 2\n"})
    lines += wheel(
        tmp_path / "wheels",
        "botocore",
        {
            "botocore/__init__.py": "",
            "botocore/data/endpoints.json": "{}",
            "botocore/data/s3/service.json": "{}",
            "botocore/data/kafka/service.json": "{}",
        },
    )
    path = tmp_path / "functions.txt"
    path.write_text(lines)
    return path


@pytest.fixture
def build(tmp_path, lock, sources):
    options = ("--offline", "--no-index", "--find-links", str(tmp_path / "wheels"))

    def run(output=tmp_path / "out", **more):
        stage(output, lock=lock, sources=sources, installer_options=options, **more)
        return output

    return run


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_our_packages_and_the_locked_ones(build):
    found = files(build())
    assert {"functions/push.py", "marketdata/__init__.py", "parcel/__init__.py"} <= found


def test_nothing_that_no_function_loads_goes_into_the_zip(build):
    found = files(build())
    assert "botocore/data/s3/service.json" in found
    assert "botocore/data/endpoints.json" in found
    assert "botocore/data/kafka/service.json" not in found
    assert not [name for name in found if "__pycache__" in name or name.endswith("RECORD")]


def test_two_builds_are_equal_byte_for_byte(build, tmp_path):
    first, second = build(), build(tmp_path / "again")
    assert files(first) == files(second)
    for name in files(first):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_changed_source_is_copied_without_installing_again(build, sources, lock):
    output = build()
    (output / "parcel" / "mark").write_text("kept")
    (sources / "functions" / "push.py").write_text("x = 3\n")
    (sources / "functions" / "__init__.py").unlink()
    build()
    assert (output / "functions" / "push.py").read_text() == "x = 3\n"
    assert not (output / "functions" / "__init__.py").exists()
    assert (output / "parcel" / "mark").exists()


def test_a_changed_lock_is_installed_from_scratch(build, lock, tmp_path):
    output = build()
    (output / "parcel" / "mark").write_text("stale")
    lock.write_text(wheel(tmp_path / "wheels", "other", {"other/__init__.py": ""}))
    build()
    assert (output / "other" / "__init__.py").exists()
    assert not (output / "parcel").exists()


def test_a_build_that_was_interrupted_is_begun_again(build):
    output = build()
    (output / STAMP).write_text("unfinished")
    (output / "parcel" / "__init__.py").unlink()
    build()
    assert (output / "parcel" / "__init__.py").exists()


def test_sources_only_needs_no_installer(build, lock):
    lock.unlink()
    assert "parcel/__init__.py" not in files(build(sources_only=True))


def test_a_wheel_with_another_hash_is_refused_and_nothing_is_left(build, lock, tmp_path):
    lock.write_text(lock.read_text().replace("sha256:", "sha256:00")[:-3] + "\n")
    with pytest.raises(BuildError, match="could not be installed"):
        build()
    assert not (tmp_path / "out").exists()


def test_a_folder_with_someone_elses_files_is_left_alone(build, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="was not staged by this command"):
        build()
    assert files(tmp_path / "out") == {"thesis.txt"}


def test_the_command_says_where_the_folder_is(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "infra.build_functions", "--sources-only", "--output", "out"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "staged out\n", "")
    assert (tmp_path / "out" / "functions" / "settings.py").is_file()


def test_the_command_refuses_a_foreign_folder_in_one_sentence(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert build_functions.main(["--output", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.soak
def test_the_locked_dependencies_have_wheels_for_lambda(tmp_path):
    """Downloads what the lock names for Lambda; boto3 then loads our four services."""
    stage(tmp_path / "out")
    code = (
        "import boto3\n"
        "for name in ('apigatewaymanagementapi', 'dynamodb', 's3', 'sts'):\n"
        "    boto3.client(name, region_name='us-east-1', endpoint_url='http://x.invalid')\n"
    )
    subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(tmp_path / "out")},
        check=True,
        timeout=60,
    )
    size = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert size < 40 * 1024 * 1024
