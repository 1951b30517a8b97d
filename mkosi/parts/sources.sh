# shellcheck shell=bash
# The package sources of the images: the machine's own apt sources with another suite.
#
# This tree contains no address of a mirror, so a machine that uses its own mirror or a proxy builds
# the same images as any other. Needs words.sh and needs.sh.

archive_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_sources RELEASE: prints the machine's Debian sources, changed to that release, as lines
# "URI SUITE COMPONENT".
debian_sources() {
    local release=$1 codename lines
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    [[ $codename ]] || fail "/etc/os-release names no release" "tere's images are made on Debian 12 or 13"
    lines=$(own_sources "$codename" "$release")
    if [[ ! $lines ]]; then
        # apt lists only sources whose index it has downloaded, and a fresh machine has none.
        apt-get -q update >&2
        lines=$(own_sources "$codename" "$release")
    fi
    [[ $lines ]] || fail "apt has no source for Debian $codename" "see /etc/apt/sources.list and /etc/apt/sources.list.d"
    printf '%s\n' "$lines"
}

# Matching the exact suites leaves out third-party sources. Testing has everything in one suite.
own_sources() {
    # shellcheck disable=SC2016 # the names are apt's, not the shell's
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v own="$1" -v want="$2" '
            $3 == "main" && ($2 == own || $2 == own "-updates" || $2 == own "-security") {
                if (want == "testing" && $2 != own) next
                sub("^" own, want, $2)
                if (!seen[$0]++) print
            }'
}

# sources_list RELEASE: the same in one-line format, for mmdebstrap.
sources_list() {
    debian_sources "$1" | while read -r uri suite component; do
        printf 'deb [signed-by=%s] %s %s %s\n' "$archive_keyring" "$uri" "$suite" "$component"
    done
}

# sources_deb822 RELEASE: the same in deb822 format, for mkosi.
sources_deb822() {
    debian_sources "$1" | while read -r uri suite component; do
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n\n' \
            "$uri" "$suite" "$component" "$archive_keyring"
    done
}

# fetch_settings: the settings with which apt reaches its mirrors here: proxies, retries, and checks
# that are turned off.
fetch_settings() {
    apt-config dump --format '%F "%v";%n' Acquire | grep -E '^Acquire::(https?::|Check-|Retries)' || true
}
