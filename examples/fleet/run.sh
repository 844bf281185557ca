#!/usr/bin/env bash
# From what cars send to a dataset that any trainer reads: see README.md beside this file.
#   ./run.sh FOLDER [options of dsr train-restorer]
# IMAGES, ORIGINALS, HEIGHT and WIDTH may be set to make it smaller; PYTHON and DSR say which programs run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?give a folder for all that is made}
shift
PYTHON=${PYTHON:-python}
DSR=${DSR:-dsr}

# What two cameras of a car see, and a few images that the team has anyway.
"$PYTHON" "$here/make_streets.py" "$out" --images "${IMAGES:-60}" --originals "${ORIGINALS:-40}" \
  --height "${HEIGHT:-128}" --width "${WIDTH:-256}"

# On the device: the front camera sends BPG, the rear one is an old JPEG camera. The images themselves are not kept.
$DSR encode "$out/camera/front" "$out/fleet/front" --codec bpg --qp 40
$DSR encode "$out/camera/rear" "$out/fleet/rear" --codec jpeg --quality 12
rm -r "$out/camera"

# On the server: a restorer for just what has arrived, then everything that has arrived, restored.
$DSR train-restorer --originals "$out/originals" --like "$out/fleet" --out "$out/restorer" --work "$out/work" "$@"
$DSR restore "$out/fleet" "$out/restored" --restorer "$out/restorer" --labels "$out/labels"

# images/, labels/ and a list of classes: a dataset for your trainer, and for dsr: --dataset folder --root restored
cp "$out/labels/classes.csv" "$out/restored/"
