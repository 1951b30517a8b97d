# shellcheck shell=bash
# Builds the page, the programs and the package; the page only if it has changed.
#
# Images and hosts need root, but builds do not: their results belong to the owner of the checkout.
# Needs words.sh, needs.sh and keyed.sh; $top is the checkout.
# shellcheck disable=SC2154

# as_owner COMMAND...: runs COMMAND as the owner of the checkout if this script runs as root.
as_owner() {
    local owner
    owner=$(stat -c %U "$top")
    if ((EUID == 0)) && [[ $owner != root && $owner != UNKNOWN ]]; then
        runuser -u "$owner" -- env HOME="$(getent passwd "$owner" | cut -d: -f6)" PATH="$PATH" "$@"
    else
        "$@"
    fi
}

# need_builders: makes sure that the commands of the builds below are there.
need_builders() {
    need_cargo
    need gcc libc6-dev
    need_command node nodejs
    need_command npm npm
}

# The page is built only when its sources have changed, because cargo takes a new file date for a
# change and would rebuild.
build_page() {
    local key
    key=$(page_key)
    [[ -e $top/web/dist/index.html && $(cat "$top/target/page.key" 2>/dev/null) == "$key" ]] && return 0
    as_owner "$top/web/build"
    as_owner mkdir -p "$top/target"
    as_owner tee "$top/target/page.key" <<<"$key" >/dev/null
}

page_key() {
    cd "$top/web" && find . \( -name node_modules -o -name dist \) -prune -o -type f -print0 |
        sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

build_programs() {
    as_owner cargo build --locked --release --manifest-path "$top/Cargo.toml"
}

build_package() {
    as_owner "$top/mkosi/package"
    as_owner "$top/mkosi/package" --client
}

# package_path [PACKAGE]: the path of a package that build_package makes, by default that of tere.
package_path() {
    printf '%s/target/debian/%s_%s_%s.deb\n' "$top" "${1:-tere}" \
        "$(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml" | head -n 1)" "$(dpkg --print-architecture)"
}
