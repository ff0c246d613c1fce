#!/usr/bin/env bash
# bench.sh [shapes|quick|sweep_channels|sweep_spatial|latency]...: installs what is missing, builds into build-bench/, and
# times clnorm beside oneDNN and PyTorch. Without arguments: shapes, both sweeps and latency, an hour or so the first time.
# NAME's results are in build-bench/: NAME.jsonl, NAME.png, NAME.md and NAME.log. Use an idle machine.
# DEVICE=NAME,... times other devices than PoCL's two, pthread (all cores) and basic (the calling thread), of which the
# faster counts; OPTIONS="--seconds 1" and the like go to clnorm-bench.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

install_missing "${build_packages[@]}" gnuplot-nox python3 python3-venv
build=$root/build-bench
mkdir -p "$build"

# peer FOLDER PACKAGE...: into a virtual environment. A peer that does not install is left out.
peer() {
    local folder=$build/$1
    shift
    [ -f "$folder/installed" ] && return 0
    echo "Installing: $*"
    if python3 -m venv "$folder" && "$folder/bin/pip" install --quiet "$@"; then
        touch "$folder/installed"
    else
        echo "bench.sh: $* did not install; left out" >&2
    fi
}

# Two of oneDNN: the newest on PyPI, 3.13, comes with SYCL, which costs it some 20 us a call, so that small tensors are
# faster with the newest that comes with OpenMP, 3.2. Both are timed; the faster counts.
peer pytorch torch numpy
peer onednn-openmp onednn-cpu-gomp==2023.2.0 onednn-devel-cpu-gomp==2023.2.0
peer onednn-sycl onednn==2026.1.0 onednn-devel==2026.1.0

onednn="" prefix=""
for folder in "$build/onednn-sycl" "$build/onednn-openmp"; do
    [ -f "$folder/installed" ] || continue
    prefix=$folder
    onednn=${onednn:+$onednn,}$folder/lib/libdnnl.so.3
done

# SYCL reaches the processor through Intel's OpenCL driver, which is shown to this run beside the system's. Its libraries
# name each other without saying where they are; the loader among them would take the system's place, and stays out.
sycl=$build/onednn-sycl
if [ -f "$sycl/installed" ]; then
    rm -rf "$build/libraries" "$build/drivers"
    mkdir "$build/libraries" "$build/drivers"
    find "$sycl/lib" -maxdepth 1 -name 'lib*.so*' ! -name 'libOpenCL*' -exec ln -s -t "$build/libraries" {} +
    cp /etc/OpenCL/vendors/*.icd "$build/drivers"
    echo "$sycl/lib/libintelocl.so" >"$build/drivers/intel-cpu.icd"
    export LD_LIBRARY_PATH=$build/libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} OCL_ICD_VENDORS=$build/drivers
fi

configure "$build" -DCMAKE_BUILD_TYPE=Release -DCLNORM_BUILD_TESTS=OFF -DCLNORM_BUILD_EXAMPLES=OFF \
    -DCLNORM_ONEDNN="$prefix"
cmake --build "$build" -j "$jobs"
use_own_caches "$build"

export POCL_DEVICES="pthread basic"
devices=${DEVICE:-pthread,basic}
bench=("$build/clnorm-bench" --device "$devices")
read -ra options <<<"${OPTIONS:-}"
[ -z "$onednn" ] || bench+=(--onednn "$onednn")
[ ! -f "$build/pytorch/installed" ] || bench+=(--python "$build/pytorch/bin/python")

# run NAME [OPTION...]: progress and summary are shown, and kept in NAME.log.
run() {
    local name=$1
    shift
    echo
    echo "== $name"
    "${bench[@]}" --json "$@" "${options[@]}" 2>&1 >"$build/$name.jsonl" | tee "$build/$name.log"
}

# pictures NAME AXIS
pictures() {
    run "$1" --cases "$root/bench/$1.txt" --plot "$build/$1.png" --table "$build/$1.md" --axis "$2"
}

[ $# -gt 0 ] || set -- shapes sweep_channels sweep_spatial latency
for what in "$@"; do
    case $what in
    shapes | quick) pictures "$what" size ;;
    sweep_channels) pictures "$what" channels ;;
    sweep_spatial) pictures "$what" spatial ;;
    latency) run latency --latency --device "${devices%%,*}" --cases "$root/bench/latency.txt" ;;
    *) echo "bench.sh: '$what' is none of shapes, quick, sweep_channels, sweep_spatial, latency" >&2 && exit 2 ;;
    esac
done
