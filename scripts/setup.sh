# setup.sh: what demo.sh and test.sh share; to be sourced. Sets `root`, the repository's folder, and `jobs`.
# shellcheck shell=bash
root=$(CDPATH="" cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc)

build_packages=(gcc libc6-dev cmake ninja-build pkg-config ocl-icd-opencl-dev opencl-headers libxxhash-dev libcjson-dev
    pocl-opencl-icd)
example_packages=(libclblast-dev zlib1g-dev dataset-fashion-mnist gnuplot-nox)
test_packages=(g++ make libcmocka-dev clang libclang-rt-14-dev clang-format locales python3 python3-numpy valgrind
    clang-15 libclc-15 libopenmpi-dev openmpi-bin)

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# install_missing PACKAGE...: with Debian's package manager; does nothing, and needs no rights, when all are there.
install_missing() {
    local package missing=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "Installing: ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
}

# configure FOLDER [OPTION...]: an existing build folder keeps its generator.
configure() {
    local folder=$1 generator=()
    shift
    [ -f "$folder/CMakeCache.txt" ] || generator=(-G Ninja)
    cmake -S "$root" -B "$folder" "${generator[@]}" "$@"
}

# use_own_caches FOLDER: compiled kernels of clnorm, PoCL and Mesa go there, not to the user's caches.
use_own_caches() {
    export CLNORM_CACHE_DIR=$1/cache/clnorm POCL_CACHE_DIR=$1/cache/pocl MESA_SHADER_CACHE_DIR=$1/cache/mesa
    mkdir -p "$CLNORM_CACHE_DIR" "$POCL_CACHE_DIR" "$MESA_SHADER_CACHE_DIR"
    chmod 700 "$CLNORM_CACHE_DIR"
}
