#!/usr/bin/env bash
# From what cars send to a dataset that any trainer reads: see README.md beside this file.
#   ./run.sh FOLDER [options of dsr train-restorer]
# IMAGES, ORIGINALS, TEST, STEPS, HEIGHT and WIDTH may be set to make it smaller; PYTHON, DSR and TORCH say which programs
# run: TORCH is a Python that has PyTorch.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?give a folder for all that is made}
shift
PYTHON=${PYTHON:-python}
DSR=${DSR:-dsr}
TORCH=${TORCH:-$PYTHON}

# What two cameras of a car see, and a few images that the team has anyway.
"$PYTHON" "$here/make_streets.py" "$out" --images "${IMAGES:-60}" --originals "${ORIGINALS:-40}" --test "${TEST:-30}" \
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

# Your trainer, which knows nothing of dsr: once on what was received (CO), once on what was restored (RO).
if ! "$TORCH" -c 'import torch' 2>/dev/null; then
  echo "$TORCH has no PyTorch, so no segmenter is trained: pip install torch, or set TORCH to a Python that has it"
  exit
fi
$DSR decode "$out/fleet" "$out/received"
train() {
  "$TORCH" "$here/train_segmenter.py" "$1" "$out/labels" "$out/test/images/test" "$out/predictions/$2" \
    --steps "${STEPS:-200}"
}
train "$out/received" CO
train "$out/restored/images" RO

# One page: what training on received images costs, and what restoring them brings, on what the device sees.
$DSR score --predictions "$out/predictions" --dataset folder --root "$out/test" --work "$out/work"
