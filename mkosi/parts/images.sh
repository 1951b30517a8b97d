# shellcheck shell=bash
# The images, and the tools that make them.
#
# mkosi differs between Debian releases, so all machines use the same version: a Debian 13 tree with
# mkosi is bootstrapped once, and mkosi runs in it. Needs words.sh, needs.sh, keyed.sh and
# sources.sh.
# shellcheck disable=SC2154 # $image is set by make_images

mkosi_room=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
image_release=trixie
image_names=(host target template)

# room_of IMAGE, release_of IMAGE: the image `host-testing` is `host` with another release, and
# `template` is the one that comes with tere.
room_of() {
    case $1 in
        template) printf '%s/../machines/debian\n' "$mkosi_room" ;;
        *) printf '%s/image/%s\n' "$mkosi_room" "${1%-testing}" ;;
    esac
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

# image_path NAME: the path at which that image is or will be.
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

# make_images: makes the images that are missing.
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
    # mmdebstrap gets a folder beside the tree for its temporary files.
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
    # mkosi's own source list names an archive that a mirror may not carry. A file of the same name
    # replaces it.
    mkdir -p "$room/mkosi.sandbox/etc/apt/sources.list.d" "$room/mkosi.sandbox/etc/apt/apt.conf.d"
    sources_deb822 "$release" >"$room/mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources"
    fetch_settings >"$room/mkosi.sandbox/etc/apt/apt.conf.d/50machine.conf"
    mkdir -p "$TERE_CACHE/packages"
    run_tools "$room" "$out.made" mkosi --release="$release" --package-cache-dir=/packages --workspace-dir=/out --output-dir=/out --force build
    rm -rf "$room"
    # $out is an empty folder so far; mkosi's output replaces it.
    rmdir "$out"
    mv "$out.made/image" "$out"
    rm -rf "$out.made"
    if [[ $image == target ]]; then shift_owners "$out"; fi
}

# The files of a machine belong to its own range of uids. With a range set here, the first machine
# made from the image starts without delay; the files of further machines, which have other ranges,
# change owner when those machines first start.
shift_owners() {
    systemd-nspawn --quiet --register=no --keep-unit --as-pid2 --directory="$1" --machine="tere-tools-$$" \
        --private-users=268435456:65536 --private-users-ownership=chown --timezone=off --suppress-sync=yes --console=pipe true
}

# run_tools ROOM OUT COMMAND...: runs COMMAND in the tools tree, with ROOM as the working folder and
# OUT for its output.
run_tools() {
    local room=$1 out=$2
    shift 2
    mkdir "$out"
    # Names are resolved by this machine's resolver. mkosi makes mounts of its own.
    systemd-nspawn -q --register=no --keep-unit --as-pid2 --volatile=no \
        -D "$TERE_CACHE/tools-$(tools_key)" --machine="tere-tools-$$" \
        --bind="$room:/room" --bind="$out:/out" --bind="$TERE_CACHE/packages:/packages" --chdir=/room \
        --resolv-conf=copy-host --timezone=off --suppress-sync=yes --capability=all --system-call-filter=@mount --console=pipe "$@"
}
