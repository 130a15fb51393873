"""The steps of docs/operations/Containerfile, run in a folder where there is no engine.

python -m tests.operations.install [FOLDER]
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTAINERFILE = ROOT / "docs" / "operations" / "Containerfile"
PLACES = ("/src", "/wheels", "/tools", "/opt/evergamma")


def stages() -> list[list[str]]:
    """Return the instructions of each stage, each on one line."""
    text = re.sub(r"\\\n\s*", "", CONTAINERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("FROM "):
            found.append([])
        found[-1].append(line)
    return found


def run_steps(folder: Path) -> list[str]:
    """Return the commands of the first stage, to be run in `folder` in place of the root."""
    return [
        re.sub(rf"(?<![\w.])({'|'.join(PLACES)})\b", rf"{folder}\1", line.removeprefix("RUN "))
        for line in stages()[0]
        if line.startswith("RUN ")
    ]


def copy_sources(folder: Path) -> Path:
    """Copy what the image is built from, and nothing else; return where it is."""
    place = folder / "src"
    place.mkdir()
    for line in stages()[0]:
        if line.startswith("COPY "):
            *sources, target = line.removeprefix("COPY ").split()
            for name in sources:
                if (ROOT / name).is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(ROOT / name, place / target, ignore=ignored)
                else:
                    shutil.copy(ROOT / name, place / target)
    return place


def run(step: str, place: Path) -> str:
    """Run a step as the image's shell would; return what it prints."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(place), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    kept = {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
    done = subprocess.run(  # noqa: S603
        ["/bin/sh", "-ec", step],
        cwd=place,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{step}\n{done.stderr}"
    return done.stdout


def main() -> None:
    """Run all steps; a folder that is given is kept."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else scratch).resolve()
        place = copy_sources(folder)
        for step in run_steps(folder):
            sys.stdout.write(f"{step}\n{run(step, place)}")


if __name__ == "__main__":
    main()
