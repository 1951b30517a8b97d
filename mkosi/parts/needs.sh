# shellcheck shell=bash
# The packages and tools that these scripts need.
#
# A fresh machine has none of them. Each script names what it uses; missing packages are named first
# and then installed with the machine's own apt. Needs words.sh and keyed.sh.

be_root() {
    if ((EUID)); then
        fail "this needs root: it mounts file systems and boots containers" "try: sudo $0 $*"
    fi
}

# need PACKAGE...: installs the packages that are missing.
need() {
    local package missing=()
    for package; do
        # A package that was removed but not purged has the status "config-files".
        if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) != installed ]]; then
            missing+=("$package")
        fi
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || fail "apt-get is not here" "tere's images are made on Debian 12 or 13"
    say "installing from this machine's own package sources: ${missing[*]}"
    step "refresh the package lists" apt-get -q update
    step "install ${missing[*]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "${missing[@]}"
}

# need_command COMMAND PACKAGE: for commands that people often have from other sources than Debian.
need_command() {
    command -v "$1" >/dev/null || need "$2"
}

# need_cargo: Debian has no cargo that is new enough, so it must already be there.
need_cargo() {
    # sudo drops the caller's PATH, so also look where rustup installs cargo, for root and for the
    # owner of the checkout.
    local home owner
    owner=$(stat -c %U "$(dirname "${BASH_SOURCE[0]}")")
    for home in "${HOME:-/root}" "$(getent passwd "$owner" | cut -d: -f6)"; do
        if ! command -v cargo >/dev/null && [[ -x $home/.cargo/bin/cargo ]]; then
            export PATH=$home/.cargo/bin:$PATH
        fi
    done
    command -v cargo >/dev/null ||
        fail "cargo is not on the PATH" "install the Rust toolchain first: https://rustup.rs"
}

# need_cargo_tool NAME: sets $tool. A tool on the PATH is used as it is; otherwise it is built once,
# in the version named here.
need_cargo_tool() {
    local version
    tool=$(command -v "$1" || true)
    [[ ! $tool ]] || return 0
    case $1 in
        cargo-deny) version=0.20.2 ;;
        cargo-mutants) version=27.1.0 ;;
        *) fail "no version of $1 is written down" "add it to mkosi/parts/needs.sh" ;;
    esac
    keyed "$1" "$version" install_cargo_tool "$1@$version"
    tool=$TERE_CACHE/$1-$version/bin/$1
}

# install_cargo_tool NAME@VERSION FOLDER. These tools spend little time themselves, so building them
# without optimisation saves more than it costs.
install_cargo_tool() {
    CARGO_TARGET_DIR=$2.target CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug "$1" --root "$2"
    rm -rf "$2.target"
}
