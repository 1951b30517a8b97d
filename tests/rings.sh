# shellcheck shell=bash
# What each ring runs, and how its results are counted. Sourced by tests/run.
# shellcheck disable=SC2154 # $top, $name, $all, $keep and $rings are set there

passed=0 failed=0 skipped=0

begin_ring() {
    ring=$1
    ring_log=$top/target/tests/$ring.log
    : >"$ring_log"
    ring_began=$EPOCHSECONDS
    before=$((passed + failed))
    printf '\n== %s\n' "$ring"
}

# is_wanted RING: whether it is one of the rings to run.
is_wanted() {
    local one
    for one in "${rings[@]}"; do
        [[ $one != "$1" ]] || return 0
    done
    return 1
}

# A ring that ran no test proves nothing, so that is a failure. With -k it is expected.
end_ring() {
    if [[ ! $name ]] && ((passed + failed == before)); then complain "no test ran in the ring $ring"; fi
    printf '== %s took %d s\n' "$ring" $((EPOCHSECONDS - ring_began))
}

closing_line() {
    if ((passed + failed == 0)); then complain "no test ran at all"; fi
    printf '\ntere: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    ((failed == 0)) || exit 1
}

# complain WHAT: a failure that no runner counts.
complain() {
    printf 'FAILED: %s\n' "$1"
    failed=$((failed + 1))
}

# check NAME COMMAND...: runs a check that passes or fails as a whole. -k skips these checks.
check() {
    local what=$1
    shift
    [[ ! $name ]] || return 0
    printf -- '-- %s\n' "$what"
    if "$@" </dev/null >"$ring_log.check" 2>&1; then
        passed=$((passed + 1))
    else
        tail -n 60 "$ring_log.check"
        complain "$what ($*)"
    fi
    cat "$ring_log.check" >>"$ring_log"
    rm -f "$ring_log.check"
}

# The time limit of each runner. A test that hangs is a failure, and the later rings still run. The
# tests of the machines ring take 17 min on two processors that are busy with builds.
limit=(timeout --kill-after=30 30m)

# runner WHAT COMMAND...: runs a test runner and adds up the totals that it prints.
runner() {
    local what=$1 output=$ring_log.part status=0 more_failed
    shift
    printf -- '-- %s\n' "$what"
    "$@" </dev/null 2>&1 | tee "$output" || status=$?
    cat "$output" >>"$ring_log"
    more_failed=$(count_of failed "$output")
    passed=$((passed + $(count_of passed "$output")))
    failed=$((failed + more_failed))
    skipped=$((skipped + $(count_of skipped "$output")))
    rm -f "$output"
    # The runner can also fail before it prints totals: the tests do not build, or the browser does
    # not start.
    if ((status == 124)); then
        complain "$what took longer than ${limit[-1]}; the last test above that is not done is the one that hangs"
    elif ((status && !more_failed)); then
        complain "$what ended with status $status"
    fi
}

# count_of passed|failed|skipped FILE: adds up the totals in FILE. cargo prints "test result: ok. 3
# passed; 0 failed; 1 ignored; ...", tests/guards "3 passed, 0 failed", and node "pass 3", "fail 0",
# "cancelled 0" and so on, each on a line of its own after a sign.
count_of() {
    awk -v want="$1" '
        /^test result: / {
            for (i = 2; i <= NF; i++) {
                word = $i
                sub(/;$/, "", word)
                if (word == "ignored") word = "skipped"
                if (word == want) sum += $(i - 1)
            }
        }
        /^[0-9]+ passed, [0-9]+ failed$/ {
            if (want == "passed") sum += $1
            if (want == "failed") sum += $3
        }
        NF == 3 && ($1 == "#" || $1 == "ℹ") && $3 ~ /^[0-9]+$/ {
            if ($2 == "pass" && want == "passed") sum += $3
            if (($2 == "fail" || $2 == "cancelled") && want == "failed") sum += $3
            if (($2 == "skipped" || $2 == "todo") && want == "skipped") sum += $3
        }
        END { print sum + 0 }' "$2"
}

ring_unit() {
    if [[ ! $name ]]; then need shellcheck; fi
    check "shell scripts" shellcheck -x mkosi/{demo,host,images,package,vm} mkosi/parts/* mkosi/image/*/mkosi.{finalize,postinst.chroot} mkosi/image/vm/vm.postinst.chroot tests/{run,rings.sh,next,removal,bench,load,guards,host-guards,calls,fuzz} .ci/run fuzz/rustc debian/{postinst,prerm,postrm} src/{broker,cli}/*.sh
    check "guards and their tests are there" tests/guards --check
    check "guards of a host and their tests are there" tests/host-guards --check
    check "format" as_owner cargo fmt --check
    check "lints" as_owner cargo clippy --locked --all-targets -- -D warnings
    check "documentation" as_owner env RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
    if [[ ! $name && -e $top/deny.toml ]]; then dependencies; fi
    if [[ ! $name ]]; then runner "page" as_owner "${limit[@]}" web/check; fi
    runner "programs" as_owner "${limit[@]}" cargo test --locked --no-fail-fast --lib --bins "${unit_tests[@]}" -- ${name:+"$name"}
    runner "sandboxes" as_owner "${limit[@]}" cargo test --locked --test probe -- ${name:+"$name"}
}

# Checks the dependencies: their licences, their sources, and security advisories. The list of
# advisories is downloaded; if it cannot be reached, this is reported and the rest is checked. What
# is checked with changes only with two files, and the tool takes minutes to make: once a week is
# enough otherwise.
dependencies() {
    local deny tool changed
    changed=$(git -C "$top" log -1 --format=%ct -- Cargo.lock deny.toml 2>/dev/null || true)
    if [[ $changed ]] && ((EPOCHSECONDS - changed > 3 * 86400 && 10#$(date +%j) % 7)); then
        echo "-- dependencies: as they were when they were last checked"
        return
    fi
    need_cargo_tool cargo-deny
    deny=$tool
    check "dependencies: licences, sources, versions" as_owner "$deny" --locked check licenses sources bans
    if as_owner "$deny" fetch db </dev/null >>"$ring_log" 2>&1; then
        check "dependencies: advisories" as_owner "$deny" --locked check advisories
    else
        echo "-- dependencies: advisories: skipped, their list cannot be fetched from here"
        skipped=$((skipped + 1))
    fi
}

# The files in tests/ that belong to no other ring.
unit_tests=()
for file in "$top"/tests/*.rs; do
    file=$(basename "$file" .rs)
    case $file in
        wire | stack | machines | '*') ;;
        *) unit_tests+=(--test "$file") ;;
    esac
done

ring_wire() {
    runner "packets" as_owner "${limit[@]}" cargo test --locked --test wire -- ${name:+"$name"}
}

ring_stack() {
    need dbus-daemon util-linux rsync
    build_next
    build_test stack || return 0
    runner "stack" as_nobody "${limit[@]}" "$program" ${name:+"$name"}
    # It runs a part of the same tests again, slowed down, and what it looks at seldom changes.
    if [[ ! $name && $(part_of 7) == 1/7 ]]; then
        runner "system calls that nobody makes" "${limit[@]}" tests/calls
    fi
}

# Builds the programs that tests with two versions put in place of the package's programs.
build_next() {
    step "build programs of another version" as_owner tests/next
    export TERE_NEXT_PROGRAMS=$top/target/next
}

# build_test NAME: builds that test and sets $program. It is compiled in a step of its own, as the
# owner of the checkout, because it runs as another user.
build_test() {
    if ! as_owner cargo test --locked --test "$1" --no-run; then
        complain "the tests of the ring $ring do not build"
        return 1
    fi
    program=$(as_owner cargo test --locked --test "$1" --no-run --message-format=json 2>>"$ring_log" |
        sed -n 's/.*"name":"'"$1"'".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
}

# as_nobody PROGRAM...: runs PROGRAM without privileges and with a writable folder of its own. No
# signal is ignored: a shell started in the background ignores Ctrl-C, and its children inherit
# that. The checkout may be below a folder that is closed to others, such as /root. An empty tmpfs
# then covers that folder, and the checkout is bind-mounted at the same path in it.
as_nobody() {
    local scratch status=0
    scratch=$(mktemp -d /tmp/tere-stack.XXXXXX)
    chown nobody "$scratch"
    # shellcheck disable=SC2016 # $1 is for the shell in the namespace
    unshare --mount --pid --fork --kill-child --mount-proc bash -euc '
        checkout=$1 scratch=$2
        shift 2
        folder=$checkout
        while [[ $folder != / ]]; do
            if ! setpriv --reuid=nobody --regid=nogroup --clear-groups test -x "$folder"; then closed=$folder; fi
            folder=${folder%/*}
            folder=${folder:-/}
        done
        if [[ ${closed-} ]]; then
            mkdir "$scratch/checkout"
            mount --bind "$checkout" "$scratch/checkout"
            mount -t tmpfs -o mode=0755 tmpfs "$closed"
            mkdir -p "$checkout"
            mount --bind "$scratch/checkout" "$checkout"
        fi
        cd "$checkout"
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs \
            env --default-signal -i PATH="$PATH" HOME="$scratch" TMPDIR="$scratch" LANG=C.UTF-8 "$@"
    ' bash "$top" "$scratch" "$@" || status=$?
    rm -rf "$scratch"
    return "$status"
}

# Each day runs a different part of the guards, of the mutants and of the fuzz targets, so that each
# part gets its turn. tests/guards --all, tests/host-guards and tests/fuzz run all of them at once.
guard_parts=50 mutant_parts=10 host_guard_parts=8 fuzz_parts=16

# part_of PARTS: which of so many parts has its turn today, as N/M.
part_of() {
    printf '%d/%d\n' $((10#$(date +%j) % $1 + 1)) "$1"
}

ring_guards() {
    local part mutants fuzz tool
    part=$(part_of "$guard_parts") mutants=$(part_of "$mutant_parts") fuzz=$(part_of "$fuzz_parts")
    need dbus-daemon
    need_command g++ g++
    # Installed here as root, because the cache belongs to root.
    need_cargo_tool cargo-mutants
    runner "guards, part $part" as_owner "${limit[@]}" tests/guards --part "$part" ${name:+"$name"}
    [[ $name ]] || runner "mutants, part $mutants" as_owner "${limit[@]}" tests/guards --mutants "$mutants"
    [[ $name ]] || runner "fuzz targets, part $fuzz" as_owner "${limit[@]}" tests/fuzz --debug --seconds 30 --part "$fuzz"
}

# make_images_ahead: makes the images of the rings to run in the background while the first of them
# run. The packages that this needs are installed before, because apt cannot run twice at a time.
images=''
make_images_ahead() {
    local which
    case "$(is_wanted machines && echo machines)$(is_wanted vm && echo vm)" in
        machinesvm) which=--all ;;
        machines) which=--testing ;;
        vm) which=--vm ;;
        *) return 0 ;;
    esac
    need "${image_builders[@]}"
    # nice: the rings that run meanwhile have deadlines.
    nice "$top/mkosi/images" "$which" >"$top/target/tests/images.log" 2>&1 &
    images=$!
}

# await_images: waits for them. If they could not be made, the ring makes them itself, or ends with
# the reason.
await_images() {
    local began=$EPOCHSECONDS
    [[ $images ]] || return 0
    clock "wait for the images ..." "$began"
    printf '\n' >&2
    if ! wait "$images"; then
        tail -n 25 "$top/target/tests/images.log" >&2
        say "the images could not be made in the background (target/tests/images.log); trying again"
    fi
    images=''
    clock "wait for the images" "$began"
    printf '\n' >&2
}

end_images() {
    [[ $images ]] || return 0
    kill "$images" 2>/dev/null || true
    wait "$images" || true
    images=''
}

# The rings machines and vm install the same package.
packaged=''
make_package() {
    [[ ! $packaged ]] || return 0
    step "build the programs" build_programs
    step "make the package" build_package
    packaged=1
}

ring_machines() {
    make_package
    build_next
    await_images
    on_host "tests-$$"
    begin_vm_beside
    on_host "tests-$$-testing" --testing
}

# begin_vm_beside: if the ring vm is wanted too, it runs beside the second host of the ring machines.
# Both wait most of the time, and all rings together have an hour.
vm_beside='' vm_output=$top/target/tests/vm.out
begin_vm_beside() {
    is_wanted vm || return 0
    say "the ring vm runs meanwhile: target/tests/vm.out"
    # In a process group of its own, so that all of it can be ended.
    setsid "$top/tests/run" vm ${name:+-k "$name"} ${all:+--all} ${keep:+--keep} >"$vm_output" 2>&1 &
    vm_beside=$!
}

# await_vm_beside: waits for it, and adds up its results. It has deadlines of its own.
await_vm_beside() {
    local status=0 counts
    wait "$vm_beside" || status=$?
    vm_beside=''
    # Its closing line is not the last one.
    sed "/^tere: /d" "$vm_output"
    counts=$(sed -n 's/^tere: \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$vm_output" | tail -n 1)
    if [[ $counts ]]; then
        read -r vm_passed vm_failed vm_skipped <<<"$counts"
        passed=$((passed + vm_passed)) failed=$((failed + vm_failed)) skipped=$((skipped + vm_skipped))
        if ((status && !vm_failed)); then complain "the ring vm ended with status $status"; fi
    else
        complain "the ring vm ended with status $status and without a result"
    fi
}

end_vm_beside() {
    [[ $vm_beside ]] || return 0
    kill -TERM -- "-$vm_beside" 2>/dev/null || true
    wait "$vm_beside" || true
    vm_beside=''
}

# on_host NAME [--testing]: runs the ring on a host with Debian stable, or with testing, which has a
# newer systemd.
on_host() {
    host=$1 failed_before=$failed
    shift
    "$top/mkosi/host" boot "$host" "$@" --proxies --deb "$(package_path)" --machine web1
    step "make machine nobus" "$top/mkosi/host" machine "$host" nobus --no-bus
    TERE_HOST_LEADER=$(<"/run/tere-hosts/$host/leader")
    TERE_ORIGIN=http://localhost:8022
    export TERE_HOST_LEADER TERE_ORIGIN
    step "write the policy" write_policy machines
    printf -- '-- %s\n' "$("$top/mkosi/host" enter "$host" systemctl --version | head -n 1)"
    if build_test probe; then export TERE_PROBE=$program; fi
    if build_test machines; then
        export TERE_MACHINES=$program
        runner "machines" "${limit[@]}" "$program" ${name:+"$name"}
    fi
    # The page and the guards are the same on both hosts, so their tests run on one of them.
    if [[ ! $* ]]; then browser; fi
    crashes "$top/mkosi/host" enter "$host" journalctl --boot
    if [[ ! $* && ! $name ]]; then host_guards; fi
    check "the package is removed and purged" tests/removal "$host"
    check "the command line alone is installed, and replaced by tere" \
        tests/client "$host" "$(package_path tere-client)" "$(package_path)"
    end_host
}

# ring_vm: the same package in a virtual machine. It is booted here, and rebooted by the
# tests.
ring_vm() {
    local port slowness=1 names=()
    if [[ $vm_beside ]]; then
        await_vm_beside
        return
    fi
    need_command chromium chromium
    need fonts-dejavu-core fonts-wqy-zenhei
    make_package
    step "make the package to upgrade to" make_upgrade
    await_images
    vm=tests-$$ failed_before=$failed
    "$top/mkosi/vm" boot "$vm"
    port=$("$top/mkosi/vm" forward "$vm" 0)
    if [[ $(</run/tere-vms/.accelerator) == tcg ]]; then slowness=6; else all=1; fi
    # The first two tests make what the others need.
    if [[ $name ]]; then
        all=1 names=(--test-name-pattern='^the package is installed' --test-name-pattern='^a person enrols from outside' --test-name-pattern="$name")
    fi
    TERE_VM=$vm TERE_ORIGIN=http://localhost:$port TERE_SLOWNESS=$slowness TERE_ALL=$all TERE_PACKAGE=$(package_path) TERE_UPGRADE=$top/target/tests/upgrade.deb \
        runner "virtual machine" "${limit[@]}" tests/browser/run vm "${names[@]}"
    if [[ -d $top/target/screenshots ]]; then chown -R --reference="$top" "$top/target/screenshots"; fi
    # The journal of all its boots.
    crashes "$top/mkosi/vm" enter "$vm" journalctl
    end_vm
}

# make_upgrade: makes the same package with a higher version, which dpkg upgrades to.
make_upgrade() {
    local tree=$top/target/tests/upgrade
    rm -rf "$tree"
    dpkg-deb --raw-extract "$(package_path)" "$tree"
    sed -i 's/^Version: .*/&+upgrade/' "$tree/DEBIAN/control"
    dpkg-deb --root-owner-group -Zgzip -z1 --build "$tree" "$tree.deb"
    rm -rf "$tree"
}

# The virtual machine that is running.
vm=''
end_vm() {
    [[ $vm && -d /run/tere-vms/$vm ]] || return 0
    if [[ $keep ]] && ((failed > failed_before)); then
        say "the virtual machine is still there. Get in: mkosi/vm enter $vm. End it: mkosi/vm stop $vm"
    else
        timeout 60 "$top/mkosi/vm" enter "$vm" journalctl --no-pager >"$top/target/tests/vm.journal" 2>/dev/null || true
        "$top/mkosi/vm" stop "$vm"
    fi
    vm=''
}

# write_policy machines|browser: the policies of the two halves of the ring. `machines` has a grant
# of each kind for alice: nobus has no D-Bus, absent does not exist, and nobody-there is no user of
# web1. With `browser`, everybody has one target and gets straight to a shell.
write_policy() {
    {
        printf '# Written by tests/run.\norigin = "%s"\n' "$TERE_ORIGIN"
        if [[ $1 == browser ]]; then
            grant '"alice", "bob"' web1 dev true
        else
            grant '"alice"' web1 dev true
            grant '"bob"' web1 dev
            grant '"alice"' nobus dev
            grant '"alice"' absent dev
            grant '"alice"' web1 nobody-there
            grant '"alice", "bob"' '{account}-box' dev
            grant '"alice", "bob"' '{account}.{task}' dev
            printf '\n[[machine]]\nname = "{account}.{task}"\ntemplate = "debian"\nper-account = 3\nlifetime = "8h"\nallow = ["fork", "remove"]\n'
            printf '\n[[machine]]\nname = "{account}-box"\ntemplate = "debian"\nmemory = "2G"\ntasks = 4096\ncpu-weight = 50\nidle = "2h"\nallow = ["checkpoint", "rebuild", "fork"]\n'
        fi
    } >"$ring_log.policy"
    "$top/mkosi/host" enter "$host" tee /etc/tere/tere.toml <"$ring_log.policy"
    rm -f "$ring_log.policy"
    "$top/mkosi/host" enter "$host" systemctl try-reload-or-restart tere-broker.service
}

grant() {
    printf '\n[[grant]]\naccounts = [%s]\nmachine = "%s"\nuser = "%s"\nshare = %s\n' "$1" "$2" "$3" "${4:-false}"
}

browser() {
    need_command chromium chromium
    # The screenshots show Chinese and box drawing, which would be empty boxes without these fonts.
    need fonts-dejavu-core fonts-wqy-zenhei
    step "write the policy" write_policy browser
    runner "browser" "${limit[@]}" tests/browser/run ${name:+"--test-name-pattern=$name"}
    if [[ -d $top/target/screenshots ]]; then chown -R --reference="$top" "$top/target/screenshots"; fi
}

host_guards() {
    local part
    part=$(part_of "$host_guard_parts")
    runner "guards of the host, part $part" "${limit[@]}" tests/host-guards --on "$host" --part "$part"
}

# crashes JOURNALCTL...: searches the journal that this command prints for crashes: Rust panics, and
# deaths by a signal that a program does not send itself on purpose.
crashes() {
    local journal=$ring_log.journal found
    "${limit[@]}" "$@" --no-pager --quiet --output=short-precise >"$journal" || complain "the journal of the host cannot be read"
    found=$(grep -E "code=dumped|code=killed, status=(4/ILL|5/TRAP|6/ABRT|7/BUS|8/FPE|11/SEGV|31/SYS)|panicked at" "$journal" || true)
    rm -f "$journal"
    if [[ $found ]]; then
        printf '%s\n' "$found" | tail -n 20
        complain "something in the host crashed"
    fi
}

# The host that is running, and the number of failures before it was booted.
host='' failed_before=0
end_host() {
    [[ $host && -d /run/tere-hosts/$host ]] || return 0
    if [[ $keep ]] && ((failed > failed_before)); then
        say "the host is still running. Get in: mkosi/host enter $host. End it: mkosi/host stop $host"
    else
        "$top/mkosi/host" enter "$host" journalctl --boot --no-pager >"$top/target/tests/${host/#tests-$$/host}.journal" 2>/dev/null || true
        "$top/mkosi/host" stop "$host"
    fi
    host=''
}
