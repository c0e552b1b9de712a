#!/usr/bin/env bash
# pip 23.2.1 (the one that Python 3.11.7 brings) does not find an extra whose name is written with underscores.
#
# math-verify 0.9.0 and latex2sympy2_extended 1.11.0 choose the version of ANTLR's runtime by an extra. Their metadata
# names it antlr4-9-3, and math-verify's own requirement asks for latex2sympy2_extended[antlr4_9_3]. pip 23.2.1 compares
# the two letter by letter, warns that there is no such extra, and goes on without it: it takes antlr4-python3-runtime
# 4.13.2, whatever version the extra names, also where the user writes the extra with hyphens. pip 24.2 takes 4.9.3.
#
# Seen on 2026-11-30 with Python 3.11.7:
#   pip 23.2.1: antlr4-python3-runtime 4.13.2, and a warning
#   pip 24.2:   antlr4-python3-runtime 4.9.3
# A project that needs a version of that runtime asks for it by name.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"

antlr_of() {  # VERSION OF PIP, EXTRA -> version of ANTLR's runtime that pip would install
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "pip==$1"
    "$folder/venv/bin/python" -m pip install --disable-pip-version-check --dry-run --ignore-installed \
        "math-verify[$2]==0.9.0" 2>"$folder/warnings" | sed -n 's/^Would install .*antlr4-python3-runtime-\([0-9.]*\).*/\1/p'
}

old=$(antlr_of 23.2.1 antlr4-9-3)
echo "pip 23.2.1: antlr4-python3-runtime $old"
grep 'does not provide the extra' "$folder/warnings"
new=$(antlr_of 24.2 antlr4-9-3)
echo "pip 24.2: antlr4-python3-runtime $new"
[ "$old" = 4.13.2 ] && [ "$new" = 4.9.3 ]
