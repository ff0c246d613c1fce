#!/usr/bin/env bash
# opencl-implementations.sh [NAME]...: installs what is missing of five OpenCL implementations for processors, and prints
# the shell exports that show them to programs:
#
#     eval "$(scripts/opencl-implementations.sh)"             # all five
#     eval "$(scripts/opencl-implementations.sh rusticl)"     # this one alone; several names, those
#
# NAME is pocl, oclgrind, rusticl, intel-cpu or intel-fpga. With --ready before it nothing is installed, and the exit
# status is 77 where something is missing. Mesa's and Intel's drivers are kept in build-opencl/, or in the folder
# CLNORM_OPENCL_FOLDER: they would show up in every OpenCL program of the machine otherwise.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

folder=${CLNORM_OPENCL_FOLDER:-$root/build-opencl}
names=(pocl oclgrind rusticl intel-cpu intel-fpga)
declare -A driver=(
    [pocl]=/etc/OpenCL/vendors/pocl.icd
    [oclgrind]=/usr/lib/oclgrind/liboclgrind-rt-icd.so
    [rusticl]=$folder/mesa/usr/lib/$(uname -m)-linux-gnu/libRusticlOpenCL.so.1
    [intel-cpu]=$folder/intel/lib/libintelocl.so
    [intel-fpga]=$folder/intel/lib/libintelocl_emu.so
)
# Versions that agree on the libraries they share.
intel_wheels=(intel-opencl-rt==2025.0.5 intel-opencl-fpga-emu-rt==2025.0.5 intel-cmplr-lib-rt==2025.0.5 tbb==2022.0.0)

is_ready() {
    [ -f "${driver[$1]}" ] || return 1
    case $1 in
    rusticl) [ -f "$folder/mesa/installed" ] ;;
    intel-*) [ "$(cat "$folder/intel/installed" 2>/dev/null)" = "${intel_wheels[*]}" ] ;;
    esac
}

# The package unpacked, and what it depends on installed.
install_rusticl() {
    local depends
    echo "Unpacking into $folder/mesa: mesa-opencl-icd"
    rm -rf "$folder/mesa"
    mkdir -p "$folder/mesa"
    cd "$folder/mesa"
    apt-get download -qq mesa-opencl-icd || { as_root apt-get update -qq && apt-get download -qq mesa-opencl-icd; }
    dpkg-deb -x mesa-opencl-icd_*.deb .
    mapfile -t depends < <(dpkg-deb -f mesa-opencl-icd_*.deb Depends | tr ',' '\n' | sed 's/^ *//; s/[ :(|].*//')
    install_missing "${depends[@]}"
    touch installed
}

# The loader that comes with the wheels would take the place of the system's.
install_intel() {
    install_missing python3 python3-venv
    echo "Installing into $folder/intel: ${intel_wheels[*]}"
    rm -rf "$folder/intel"
    mkdir -p "$folder"
    python3 -m venv "$folder/intel"
    "$folder/intel/bin/pip" install --quiet --no-deps "${intel_wheels[@]}" ||
        { echo "opencl-implementations.sh: pip could not install Intel's drivers; it takes them from PyPI" && return 1; }
    rm -f "$folder"/intel/lib/libOpenCL.so*
    echo "${intel_wheels[*]}" >"$folder/intel/installed"
}

set_up() {
    is_ready "$1" && return
    case $1 in
    pocl) install_missing pocl-opencl-icd ;;
    oclgrind) install_missing oclgrind ;;
    rusticl) (install_rusticl) ;;
    intel-*) install_intel ;;
    esac
    is_ready "$1" || { echo "opencl-implementations.sh: $1 has no ${driver[$1]}" && return 1; }
}

# A folder of theirs with an .icd file, the name of a library, for each.
make_icd_folder() {
    local name
    vendors=$folder/icd/$(IFS=+ && echo "${names[*]}")
    mkdir -p "$vendors"
    for name in "${names[@]}"; do
        case ${driver[$name]} in
        *.icd) cp "${driver[$name]}" "$vendors/$name.$$" ;;
        *) echo "${driver[$name]}" >"$vendors/$name.$$" ;;
        esac
        mv "$vendors/$name.$$" "$vendors/$name.icd" # in one step: others may be reading
    done
}

ready=
[ "${1-}" != --ready ] || { ready=yes && shift; }
for name in "$@"; do
    [ -n "${driver[$name]-}" ] || { echo "opencl-implementations.sh: '$name' is none of ${names[*]}" >&2 && exit 2; }
done
[ $# -eq 0 ] || names=("$@")
for name in "${names[@]}"; do
    if [ -z "$ready" ]; then
        set_up "$name" >&2
    elif ! is_ready "$name"; then
        echo "$name is not there; scripts/opencl-implementations.sh $name sets it up" >&2
        exit 77
    fi
done
if [ ${#names[@]} -eq 1 ]; then
    vendors=${driver[${names[0]}]}
else
    make_icd_folder
fi

printf 'export OCL_ICD_VENDORS=%q\n' "$vendors"
case "${names[*]}" in *rusticl*) echo 'export RUSTICL_ENABLE=llvmpipe' ;; esac
case "${names[*]}" in
*intel*) printf 'export LD_LIBRARY_PATH=%q\n' "$folder/intel/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ;;
esac
