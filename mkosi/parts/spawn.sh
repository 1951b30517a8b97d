# shellcheck shell=bash
# Processes that outlive the script which started them, in a cgroup by which all of them can be killed.
#
# A demo host is a tree of hundreds of processes, some of them containers of their own. A list of PIDs would go stale;
# a cgroup cannot. Where systemd runs it is asked for the cgroup, elsewhere (a build container) it is made by hand.

# spawn GROUP LOG COMMAND...: starts COMMAND in the background, in the group, its output in LOG.
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

# join_group GROUP: this script and what it starts. Where systemd runs, the caller's own group is good enough.
join_group() {
    [[ ! -d /run/systemd/system ]] || return 0
    local folder
    while IFS= read -r folder; do
        mkdir -p "$folder"
        # As PID 0 the kernel takes the writer, whatever its number is in its namespace.
        echo 0 >"$folder/cgroup.procs"
    done < <(group_folders "$1")
}

# kill_group GROUP: every process in it, at once. Returns when they are gone.
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
        # The kernel has no event for "empty" that a shell could wait for; rmdir succeeds when it is.
        until find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null; do
            ((EPOCHSECONDS < deadline)) || fail "processes of $group do not end" "see $folder/cgroup.procs"
            sleep 0.02
        done
    done < <(group_folders "$group")
}

# Where cgroup v1 is mounted too, nspawn insists on a folder of its own in systemd's v1 tree as well.
group_folders() {
    if [[ -d /sys/fs/cgroup/unified ]]; then
        printf '%s\n' "/sys/fs/cgroup/unified/$1"
        [[ ! -d /sys/fs/cgroup/systemd ]] || printf '%s\n' "/sys/fs/cgroup/systemd/$1"
    else
        printf '%s\n' "/sys/fs/cgroup/$1"
    fi
}
