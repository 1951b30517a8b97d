# shellcheck shell=bash
# Things that are slow to make are made once, and kept under a key of what made them.
#
# $TERE_CACHE/NAME-KEY is either complete or absent: it is built beside and renamed. So an interrupted build
# leaves nothing half, and two checkouts can share one cache. Needs words.sh.

TERE_CACHE=${TERE_CACHE:-/var/cache/tere}

# key_of FILE-OR-FOLDER-OR-TEXT...: one hash of names and contents.
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

# keyed NAME KEY BUILDER...: makes $TERE_CACHE/NAME-KEY by `BUILDER... DIRECTORY` if it is not there.
keyed() {
    local name=$1 key=$2 lock building
    shift 2
    [[ -d $TERE_CACHE/$name-$key ]] && return 0
    mkdir -p "$TERE_CACHE"
    exec {lock}>"$TERE_CACHE/$name.lock"
    flock "$lock"
    if [[ ! -d $TERE_CACHE/$name-$key ]]; then
        # Whoever held the lock before is gone: what it left half is nobody's.
        rm -rf --one-file-system "$TERE_CACHE/.building-$name" "$TERE_CACHE/.building-$name".*
        building=$TERE_CACHE/.building-$name
        mkdir "$building"
        step "make $name" "$@" "$building"
        mv "$building" "$TERE_CACHE/$name-$key"
    fi
    exec {lock}>&-
}
