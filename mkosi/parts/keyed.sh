# shellcheck shell=bash
# A cache for things that are slow to make. Each is stored under a key of its inputs.
#
# $TERE_CACHE/NAME-KEY is either complete or absent, because it is built under another name and then
# renamed. An interrupted build therefore leaves nothing incomplete, and two checkouts can share one
# cache. Needs words.sh.

TERE_CACHE=${TERE_CACHE:-/var/cache/tere}

# key_of FILE-OR-FOLDER-OR-TEXT...: prints one hash of all names and contents.
key_of() {
    local item
    for item; do
        if [[ -d $item ]]; then
            (cd "$item" && find . -type f -print0 | sort -z | xargs -0 sha256sum && find . -printf '%p %m %l\n' | sort)
        elif [[ -f $item ]]; then
            sha256sum <"$item"
        else
            printf '%s\n' "$item"
        fi
    done | sha256sum | cut -c1-16
}

# keyed NAME KEY BUILDER...: makes $TERE_CACHE/NAME-KEY with `BUILDER... DIRECTORY` if it is
# missing.
keyed() {
    local name=$1 key=$2 lock building
    shift 2
    [[ -d $TERE_CACHE/$name-$key ]] && return 0
    mkdir -p "$TERE_CACHE"
    exec {lock}>"$TERE_CACHE/$name.lock"
    flock "$lock"
    if [[ ! -d $TERE_CACHE/$name-$key ]]; then
        # This process holds the lock, so an incomplete build was left by a process that is gone.
        rm -rf --one-file-system "$TERE_CACHE/.building-$name" "$TERE_CACHE/.building-$name".*
        building=$TERE_CACHE/.building-$name
        mkdir "$building"
        step "make $name" "$@" "$building"
        mv "$building" "$TERE_CACHE/$name-$key"
    fi
    exec {lock}>&-
}
