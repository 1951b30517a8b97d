# shellcheck shell=bash
# How these scripts talk to a person.
#
# One line for each step on stderr, with the time it took. What a step prints goes to a log, because a
# build's chatter hides the line that matters; when a step fails, the end of that log is shown and
# its path is named. stdout is left to results, so that a script can be used by another one.

started=${started:-$EPOCHSECONDS}

# fail WHAT [WHAT TO DO NEXT]...
fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

say() {
    printf '%s\n' "$*" >&2
}

# log_to FILE: where the steps that follow write what they print.
log_to() {
    mkdir -p "${1%/*}"
    step_log=$1
    : >"$step_log"
}

# step NAME COMMAND...: runs COMMAND with its output in the log. Returns only if it succeeded.
step() {
    local name=$1 began=$EPOCHSECONDS ticker=
    shift
    : "${step_log:=$(mktemp -t tere-step.XXXXXX)}"
    printf '\n== %s: %s\n' "$name" "$*" >>"$step_log"
    if [[ -t 2 ]]; then
        tick "$name" "$began" &
        ticker=$!
    else
        clock "$name ..." "$began"
        printf '\n' >&2
    fi
    # A shell of its own, not `|| status=$?`: that would switch off `set -e` in everything the step calls.
    local status
    set +e
    (
        set -e
        "$@" </dev/null >>"$step_log" 2>&1
    )
    status=$?
    set -e
    if [[ $ticker ]]; then
        kill "$ticker" 2>/dev/null || true
        wait "$ticker" 2>/dev/null || true
        printf '\r\e[K' >&2
    fi
    if ((status)); then
        clock "$name failed (status $status)" "$began"
        printf '\n' >&2
        tail -n 25 "$step_log" | sed 's/^/    /' >&2
        fail "stopped at: $name" "everything it printed is in $step_log"
    fi
    clock "$name" "$began"
    printf '\n' >&2
}

# clock TEXT BEGAN: the time since the script started, the text, and the time since BEGAN.
clock() {
    local all=$((EPOCHSECONDS - started)) own=$((EPOCHSECONDS - $2))
    printf '[%2d:%02d] %s' $((all / 60)) $((all % 60)) "$1" >&2
    if ((own)); then printf ' (%d s)' "$own" >&2; fi
}

# Repaints the step's line each second, so that a long step is seen to be alive.
tick() {
    while :; do
        printf '\r\e[K' >&2
        clock "$1 ..." "$2"
        sleep 1
    done
}
