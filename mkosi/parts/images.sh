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

# The packages that this machine needs to make images.
# shellcheck disable=SC2034 # for the scripts that source this
image_builders=(mmdebstrap debian-archive-keyring systemd-container util-linux e2fsprogs)

# rooms_of IMAGE, release_of IMAGE: the folders whose files make the image, later ones over earlier
# ones, and its release. The image `host-testing` is `host` with another release, `vm` is `host` as
# a disk, `load` is `host` with other servers, and `template` is the one that comes with tere.
rooms_of() {
    case $1 in
        template) printf '%s/../machines/debian\n' "$mkosi_room" ;;
        vm | load) printf '%s\n' "$mkosi_room/image/host" "$mkosi_room/image/$1" ;;
        *) printf '%s/image/%s\n' "$mkosi_room" "${1%-testing}" ;;
    esac
}

release_of() {
    if [[ $1 == *-testing ]]; then echo testing; else echo "$image_release"; fi
}

tools_packages=mkosi,apt,dpkg,debian-archive-keyring,ca-certificates,kmod,cpio,zstd,tar,systemd,systemd-container,uidmap,e2fsprogs

# What a virtual machine needs beyond that: systemd-repart makes its disk, and QEMU runs it.
vm_packages=systemd-repart,qemu-system-x86,qemu-utils

# tools_of IMAGE: the packages of the tools tree with which the image is made. tools_name IMAGE: the
# name of that tree in the cache.
tools_of() {
    if [[ $1 == vm ]]; then echo "$tools_packages,$vm_packages"; else echo "$tools_packages"; fi
}

tools_name() {
    if [[ $1 == vm ]]; then echo vm-tools; else echo tools; fi
}

tools_key() {
    key_of "$image_release" "$(tools_of "$1")"
}

tools_path() {
    printf '%s/%s-%s\n' "$TERE_CACHE" "$(tools_name "$1")" "$(tools_key "$1")"
}

image_key() {
    local rooms
    mapfile -t rooms < <(rooms_of "$1")
    if [[ $1 == template-disk ]]; then
        key_of "$(image_key template)" "$(declare -f build_template_disk)"
    elif [[ $1 == vm ]]; then
        key_of "$(tools_key vm)" "$(release_of vm)" "${rooms[@]}" "$(declare -f build_image keep_disk run_tools)"
    else
        key_of "$(tools_key "$1")" "$(release_of "$1")" "${rooms[@]}" "$(declare -f build_image shift_owners run_tools)"
    fi
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
        if [[ $name == template-disk ]]; then
            keyed template-disk "$(image_key template-disk)" build_template_disk
        else
            image=$name keyed "$(tools_name "$name")" "$(tools_key "$name")" bootstrap_tools
            image=$name keyed "$name" "$(image_key "$name")" build_image
        fi
    done
}

bootstrap_tools() {
    local settings=() line sources
    while IFS= read -r line; do settings+=(--aptopt="$line"); done < <(fetch_settings)
    sources=$(sources_list "$image_release")
    # mmdebstrap gets a folder beside the tree for its temporary files.
    mkdir "$1.tmp"
    TMPDIR=$1.tmp mmdebstrap --variant=minbase --include="$(tools_of "$image")" "${settings[@]}" \
        "$image_release" "$1" - <<<"$sources"
    rm -rf "$1.tmp"
}

build_image() {
    local out=$1 part room release
    release=$(release_of "$image")
    room=$out.room
    mkdir "$room"
    while IFS= read -r part; do cp -a "$part/." "$room/"; done < <(rooms_of "$image")
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
    if [[ $image == vm ]]; then keep_disk "$out.made" "$out"; else mv "$out.made/image" "$out"; fi
    rm -rf "$out.made"
    if [[ $image == target ]]; then shift_owners "$out"; fi
}

# keep_disk MADE OUT: keeps what QEMU boots of what mkosi made: the disk, the kernel and the initrd.
keep_disk() {
    mkdir "$2"
    mv "$1/image.raw" "$2/disk.raw"
    mv "$1/vmlinuz" "$1/initrd" "$2/"
}

# The template as a disk, because a virtual machine shares no folder with this machine. tere only
# reads it.
build_template_disk() {
    local size
    size=$(du -sm "$(image_path template)" | cut -f1)
    mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$(image_path template)" "$1/disk.raw" "$((size + size / 4 + 32))M"
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
        -D "$(tools_path "$image")" --machine="tere-tools-$$" \
        --bind="$room:/room" --bind="$out:/out" --bind="$TERE_CACHE/packages:/packages" --chdir=/room \
        --resolv-conf=copy-host --timezone=off --suppress-sync=yes --capability=all --system-call-filter=@mount --console=pipe "$@"
}
