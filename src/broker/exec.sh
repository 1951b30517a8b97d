# shellcheck shell=sh
# Runs one command without a terminal behind this terminal, which carries its standard input and
# output, and behind a second one, which carries its standard error. docs/design.md has the
# protocol. $1 is the key with which every message of this script to the worker begins.
key=$1
stty raw -echo || exit
printf '%sr' "$key"

# Reads one frame: its length in 8 bytes, padded with newlines, then the bytes. Not with read, which
# in some shells takes more from a terminal than a line.
frame() {
    length=$(dd bs=8 count=1 iflag=fullblock 2>/dev/null)
    [ "$length" -gt 0 ] && dd bs="$length" count=1 iflag=fullblock 2>/dev/null
}

# The first frame has the path of the second terminal and the command, as words for eval.
words=$(frame && printf x) || exit
eval "set -- ${words%x}"
exec 3<&0 4>&1 6>"$1" 0</dev/null 2>/dev/null
shift

# The command leads a session and a process group of its own, and begins once the worker has told
# the control script which: with the first line of its input. Its output goes through pipes, so that
# it sees no terminal. What brings the input is not waited for, and a pipe ends once nobody has it
# open.
# shellcheck disable=SC2016
begin='printf "%sp%s." "$1" "$$" >&4; IFS= read -r go || exit; shift; exec "$@" 4>&-'
status=$(
    {
        {
            {
                (while frame; do :; done <&3 3<&- 4>&- 5>&- 6>&- 8>&- 9>&- &) | {
                    (exec setsid sh -c "$begin" sh "$key" "$@" >&9 2>&8 3<&- 5>&- 6>&- 8>&- 9>&-)
                    printf %s "$?" >&5
                }
            } 8>&1 | cat >&6 3<&- 4>&- 5>&- 9>&-
        } 9>&1 | cat >&4 3<&- 5>&- 6>&-
    } 5>&1
)
# The worker takes what follows output for a message only if the flow control of the terminal has
# changed before: the kernel reports that first. On this terminal it is switched off again at once,
# because input could stop the output.
stty ixon <&6
printf '%se' "$key" >&6
stty ixon <&4
stty -ixon <&4
printf '%ss%s.' "$key" "$status" >&4
