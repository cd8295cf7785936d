#!/bin/sh
# Make a virtual environment with a Python 3 port of the Autobahn|Testsuite.
# usage: setup.sh DIR      (PYTHON=... picks the interpreter; it must have lib2to3)
set -eu

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
venv=$1
python=${PYTHON:-python3.11}

"$python" -W ignore -c 'import lib2to3.refactor' 2>/dev/null || {
    echo "$0: $python is missing or has no lib2to3, which Python 3.13 dropped." >&2
    echo "Install python3.11, python3.11-venv and python3-lib2to3 (their names in Debian), or set PYTHON to one that has it." >&2
    exit 1
}

# Same inputs as last time: nothing to do.
stamp=$(cat "$here/setup.sh" "$here/port.py" "$here/requirements.txt" | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$venv/ported" 2>/dev/null)" = "$stamp" ]; then
    echo "$venv is up to date"
    exit 0
fi

# Replace only what an earlier run of this script made.
if [ -e "$venv" ] && [ ! -e "$venv/autobahn-venv" ] && [ -n "$(ls -A "$venv")" ]; then
    echo "$0: $venv exists and is not a directory that this script made" >&2
    exit 1
fi
rm -rf "$venv"
mkdir -p "$venv"
: > "$venv/autobahn-venv"

"$python" -m venv "$venv"
pip="$venv/bin/python -m pip --quiet --disable-pip-version-check"
# The old sdists build with setup.py; give them a pinned setuptools to do it with.
$pip install setuptools==75.8.2 wheel==0.45.1
PYTHONWARNINGS=ignore $pip install --no-build-isolation --no-deps -r "$here/requirements.txt"

site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
"$venv/bin/python" "$here/port.py" "$site"
echo "$stamp" > "$venv/ported"
echo "ready: export AUTOBAHN_VENV=$venv"
