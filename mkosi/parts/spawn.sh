# shellcheck shell=bash
# Processes that outlive the script that started them, in a cgroup with which all of them can be
# killed.
#
# A demo host is a tree of hundreds of processes, some of them in nested containers. A list of PIDs
# would go stale; a cgroup cannot. Where systemd runs, it makes the cgroup; elsewhere, as in a build
# container, it is made by hand.

# spawn GROUP LOG COMMAND...: starts COMMAND in the background, in the group, with its output in
# LOG.
spawn() {
    local group=$1 log=$2 entry
    shift 2
    if [[ -d /run/systemd/system ]]; then
        systemd-run --quiet --collect --slice="${group//-/_}.slice" --property=Delegate=yes --property=KillMode=mixed \
            --property=StandardOutput="append:$log" --property=StandardError="append:$log" -- "$@"
        return
    fi
    while IFS= read -r entry; do mkdir -p "$entry"; done < <(group_folders "$group")
    (
        while IFS= read -r entry; do echo "$BASHPID" >"$entry/cgroup.procs"; done < <(group_folders "$group")
        exec setsid "$@" </dev/null >>"$log" 2>&1
    ) &
    disown
}

# join_group GROUP: moves this script into the group, and with it all that it starts. Where systemd
# runs, the caller's own cgroup is good enough.
join_group() {
    [[ ! -d /run/systemd/system ]] || return 0
    local folder
    while IFS= read -r folder; do
        mkdir -p "$folder"
        # PID 0 stands for the writer, whatever its PID is in its namespace.
        echo 0 >"$folder/cgroup.procs"
    done < <(group_folders "$1")
}

# kill_group GROUP: kills every process in the group at once. Returns when they are gone.
kill_group() {
    local group=$1 folder deadline=$((EPOCHSECONDS + 20))
    if [[ -d /run/systemd/system ]]; then
        systemctl kill --signal=KILL "${group//-/_}.slice" 2>/dev/null || true
        systemctl stop "${group//-/_}.slice" 2>/dev/null || true
        return
    fi
    while IFS= read -r folder; do
        [[ -d $folder ]] || continue
        [[ ! -e $folder/cgroup.kill ]] || echo 1 >"$folder/cgroup.kill"
        # A shell cannot wait for the event that a cgroup is empty; rmdir succeeds when it is.
        until find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null; do
            ((EPOCHSECONDS < deadline)) || fail "processes of $group do not end" "see $folder/cgroup.procs"
            sleep 0.02
        done
    done < <(group_folders "$group")
}

# If cgroup v1 is mounted too, nspawn also requires a folder of its own in systemd's v1 tree.
group_folders() {
    if [[ -d /sys/fs/cgroup/unified ]]; then
        printf '%s\n' "/sys/fs/cgroup/unified/$1"
        [[ ! -d /sys/fs/cgroup/systemd ]] || printf '%s\n' "/sys/fs/cgroup/systemd/$1"
    else
        printf '%s\n' "/sys/fs/cgroup/$1"
    fi
}
