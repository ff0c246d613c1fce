#!/usr/bin/env bash
# test_fashion_mnist.sh PROGRAM: the example learns something from a few images, with a ragged last batch, and leaves its
# files behind. Skipped (status 77) where Debian's copy of the data set is not installed.
set -euo pipefail

program=$1
[ -e /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
output="$work/it's here"

fail() {
    echo "test_fashion_mnist: $*" >&2
    exit 1
}

"$program" --train 6007 --epochs 1 --batch 64 --rate 0.2 --output "$output" || fail "the program failed"
[ "$(wc -l <"$output/loss.tsv")" -eq 21 ] || fail "loss.tsv should have a heading and 20 points"
# After 94 steps all three accuracies are near 75 %; a network that learns nothing stays at 10 %.
awk -F '\t' 'NR == 2 {rows++; for (i = 2; i <= 4; i++) if (!($i > 60 && $i < 95)) bad = 1} END {exit bad || rows != 1}' \
    "$output/accuracy.tsv" || fail "unlikely accuracies: $(tail -n 1 "$output/accuracy.tsv")"
if command -v gnuplot >/dev/null; then
    grep -q '</svg>' "$output/plot.svg" || fail "no plot"
fi
if "$program" --epochs 0 2>"$work/message"; then fail "--epochs 0 was accepted"; fi
grep -q -- --epochs "$work/message" || fail "the message for --epochs 0 does not name the option"
