#!/usr/bin/env bash
# The cart on 64-bit ARM without such a machine: its tests, and frames measured there and here, under QEMU's user mode.
#
#   tests/arm.sh                                  the tests of tests/cart that need no Keras
#   tests/arm.sh --bundle BUNDLE FRAME...         the frames measured on both, and the largest difference
#
# Debian and its relatives only (apt-get, dpkg), no root rights, about 1 GB in $ANNULUS_ARM. Run it with the Python that
# has requirements.txt: PYTHON=.venv/bin/python (the default). docs/arm.md says what to expect.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
arm="${ANNULUS_ARM:-${XDG_CACHE_HOME:-$HOME/.cache}/annulus/aarch64}"
host="${PYTHON:-.venv/bin/python}"
mkdir -p "$arm"/{debs,lists/partial,cache/archives/partial,root/proc}
arm="$(realpath "$arm")"

if [ ! -x "$arm/qemu/usr/bin/qemu-aarch64-static" ]; then
    echo "== QEMU"
    (cd "$arm/debs" && apt-get download qemu-user-static || apt-get download qemu-user)
    dpkg -x "$arm"/debs/qemu-user*.deb "$arm/qemu" && rm "$arm"/debs/qemu-user*.deb
fi

if [ ! -x "$arm/root/usr/bin/python3.11" ]; then
    echo "== Debian's Python for arm64"
    apt=(apt-get -oAPT::Architecture=arm64 -oAPT::Architectures=arm64
        -oDir::State::Lists="$arm/lists" -oDir::Cache="$arm/cache")
    "${apt[@]}" update
    (cd "$arm/debs" && "${apt[@]}" download libc6 libgcc-s1 libstdc++6 python3.11 python3.11-minimal \
        libpython3.11-minimal libpython3.11-stdlib zlib1g libexpat1 libffi8 libssl3 liblzma5 libbz2-1.0 \
        libsqlite3-0 libuuid1 libcrypt1)
    for package in "$arm"/debs/*.deb; do dpkg -x "$package" "$arm/root"; done
fi

if [ ! -f "$arm/site/.complete" ]; then
    echo "== The wheels of requirements-cart.txt for aarch64, and pytest"
    wheels=("$host" -m pip install --quiet --upgrade --only-binary=:all: --python-version 3.11 --implementation cp
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64
        --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64)
    "${wheels[@]}" --target "$arm/site" -r requirements-cart.txt
    "${wheels[@]}" --target "$arm/tests" "$(grep ^pytest== requirements.txt)" "$(grep ^scipy== requirements.txt)" \
        "$(grep ^hypothesis== requirements-dev.txt)"
    touch "$arm/site/.complete"
fi

# XNNPACK asks /proc/cpuinfo what the processor can do. QEMU before 8.2 shows this machine's own, which is no ARM's, and
# LiteRT dies of it (segmentation fault in allocate_tensors). A file below its root comes before the real one.
if [ ! -f "$arm/root/proc/cpuinfo" ]; then
    for core in 0 1; do
        printf 'processor\t: %d\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n' "$core"
    done >"$arm/root/proc/cpuinfo"
fi

on_arm() { # python on a Cortex-A72, as in a Raspberry Pi 4
    PYTHONPATH="$PWD:$arm/site:$arm/tests" PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 QEMU_CPU=cortex-a72 \
        "$arm/qemu/usr/bin/qemu-aarch64-static" -L "$arm/root" "$arm/root/usr/bin/python3.11" "$@"
}

on_arm -c 'import platform, numpy, cv2; print("==", platform.machine(), "NumPy", numpy.__version__, "OpenCV", cv2.__version__)'

if [ "${1:-}" != --bundle ]; then
    # what needs Keras or its bundles cannot run there; --noconftest, because tests/cart/conftest.py makes such bundles
    mapfile -t files < <(grep -LE "keras|drawn_heart|from export|import onnx|_bundle" tests/cart/test_*.py)
    on_arm -m pytest -q --noconftest -p no:cacheprovider --continue-on-collection-errors "${files[@]}"
    exit
fi

bundle="$2"
shift 2
on_arm - "$bundle" <<'PYTHON'
import sys
from pathlib import Path

from cart.delegation import delegation_of
from cart.bundle import read_bundle

found = delegation_of(read_bundle(Path(sys.argv[1])).artefact, threads=1)
print(f"XNNPACK on ARM runs {found.delegated} of {found.nodes} operations, not: {dict(found.undelegated) or 'none'}")
PYTHON
"$host" -m cart --bundle "$bundle" --threads 1 --json "$@" >"$arm/here.json"
on_arm -m cart --bundle "$bundle" --threads 1 --json "$@" >"$arm/there.json"
"$host" - "$arm/here.json" "$arm/there.json" <<'PYTHON'
import json
import math
import sys
from pathlib import Path

here, there = (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:])
for one, other in zip(here, there, strict=True):
    if one["status"] != other["status"] or not one["hinge_points_px"]:
        print(f"{one['input']}: here {one['status']}, on ARM {other['status']}")
        continue
    shift = max(math.dist(one["hinge_points_px"][name], other["hinge_points_px"][name]) for name in ("amvl", "pmvl"))
    diameters = one["annulus_diameter"], other["annulus_diameter"]
    print(f"{one['input']}: {diameters[0]:.4f} and {diameters[1]:.4f} {one['unit']}, hinge points {shift:.2g} px apart")
PYTHON
