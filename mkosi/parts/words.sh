# shellcheck shell=bash
# Messages of these scripts.
#
# Each step is one line on stderr, with the time that it took. The output of a step goes to a log,
# because the output of a build hides the line that matters; when a step fails, the end of that log
# is shown and its path is named. stdout is for results, so that other scripts can use them.

started=${started:-$EPOCHSECONDS}

# fail WHAT [WHAT TO DO NEXT]...: prints the error and exits.
fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

say() {
    printf '%s\n' "$*" >&2
}

# log_to FILE: sends the output of the following steps to FILE.
log_to() {
    mkdir -p "${1%/*}"
    step_log=$1
    : >"$step_log"
}

# step NAME COMMAND...: runs COMMAND with its output in the log. Returns only if COMMAND succeeds.
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
    # A subshell, because `|| status=$?` would disable `set -e` in everything that the step calls.
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

# clock TEXT BEGAN: prints the time since the script started, the text, and the time since BEGAN.
clock() {
    local all=$((EPOCHSECONDS - started)) own=$((EPOCHSECONDS - $2))
    printf '[%2d:%02d] %s' $((all / 60)) $((all % 60)) "$1" >&2
    if ((own)); then printf ' (%d s)' "$own" >&2; fi
}

# Repaints the line of a step every second, which shows that a long step is still running.
tick() {
    while :; do
        printf '\r\e[K' >&2
        clock "$1 ..." "$2"
        sleep 1
    done
}
