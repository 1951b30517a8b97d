# shellcheck shell=bash
# The images, and what they are made with.
#
# mkosi differs between Debian releases, so everybody uses the same one: a Debian 13 tree with mkosi in it is bootstrapped
# once, and mkosi runs there. Needs words.sh, needs.sh, keyed.sh and sources.sh.
# shellcheck disable=SC2154 # $image is set by make_images

mkosi_room=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
image_release=trixie
image_names=(host target)

# room_of IMAGE, release_of IMAGE: `host-testing` is `host` of another release.
room_of() {
    printf '%s/image/%s\n' "$mkosi_room" "${1%-testing}"
}

release_of() {
    if [[ $1 == *-testing ]]; then echo testing; else echo "$image_release"; fi
}

tools_packages=mkosi,apt,dpkg,debian-archive-keyring,ca-certificates,kmod,cpio,zstd,tar,systemd,systemd-container,uidmap,e2fsprogs

tools_key() {
    key_of "$image_release" "$tools_packages"
}

image_key() {
    key_of "$(tools_key)" "$(release_of "$1")" "$(room_of "$1")" "$(declare -f build_image shift_owners run_tools)"
}

# image_path NAME: where that image is, or will be.
image_path() {
    printf '%s/%s-%s\n' "$TERE_CACHE" "$1" "$(image_key "$1")"
}

images_missing() {
    local name
    for name in "${image_names[@]}"; do
        [[ -d $(image_path "$name") ]] || return 0
    done
    return 1
}

# make_images: whatever is not there yet.
make_images() {
    local name
    for name in "${image_names[@]}"; do
        [[ -d $(image_path "$name") ]] && continue
        keyed tools "$(tools_key)" bootstrap_tools
        image=$name keyed "$name" "$(image_key "$name")" build_image
    done
}

bootstrap_tools() {
    local settings=() line sources
    while IFS= read -r line; do settings+=(--aptopt="$line"); done < <(fetch_settings)
    sources=$(sources_list "$image_release")
    # The tree is filled under a folder of its own: mmdebstrap wants to make it.
    mkdir "$1.tmp"
    TMPDIR=$1.tmp mmdebstrap --variant=minbase --include="$tools_packages" "${settings[@]}" \
        "$image_release" "$1" - <<<"$sources"
    rm -rf "$1.tmp"
}

build_image() {
    local out=$1 room release
    release=$(release_of "$image")
    room=$out.room
    mkdir "$room"
    cp -a "$(room_of "$image")/." "$room/"
    # mkosi's own list names an archive that a mirror may not carry; a file of the same name wins over it.
    mkdir -p "$room/mkosi.sandbox/etc/apt/sources.list.d" "$room/mkosi.sandbox/etc/apt/apt.conf.d"
    sources_deb822 "$release" >"$room/mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources"
    fetch_settings >"$room/mkosi.sandbox/etc/apt/apt.conf.d/50machine.conf"
    mkdir -p "$TERE_CACHE/packages"
    run_tools "$room" "$out.made" mkosi --release="$release" --package-cache-dir=/packages --workspace-dir=/out --output-dir=/out --force build
    rm -rf "$room"
    # The builder made $out empty; what mkosi made goes in its place.
    rmdir "$out"
    mv "$out.made/image" "$out"
    rm -rf "$out.made"
    if [[ $image == target ]]; then shift_owners "$out"; fi
}

# Files of a machine belong to its own range of users. Given such a range here, the first machine that is made from
# the image starts at once; another one, with another range, has its files change owner when it first starts.
shift_owners() {
    systemd-nspawn --quiet --register=no --keep-unit --as-pid2 --directory="$1" --machine="tere-tools-$$" \
        --private-users=268435456:65536 --private-users-ownership=chown --timezone=off --suppress-sync=yes --console=pipe true
}

# run_tools ROOM OUT COMMAND...: in the tools tree, with ROOM as the working folder and OUT for what is made.
run_tools() {
    local room=$1 out=$2
    shift 2
    mkdir "$out"
    # Names in the images are resolved by the outer machine's resolver; mkosi makes mounts of its own.
    systemd-nspawn -q --register=no --keep-unit --as-pid2 --volatile=no \
        -D "$TERE_CACHE/tools-$(tools_key)" --machine="tere-tools-$$" \
        --bind="$room:/room" --bind="$out:/out" --bind="$TERE_CACHE/packages:/packages" --chdir=/room \
        --resolv-conf=copy-host --timezone=off --suppress-sync=yes --capability=all --system-call-filter=@mount --console=pipe "$@"
}
