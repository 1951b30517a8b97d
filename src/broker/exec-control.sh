# shellcheck shell=sh
# Beside exec.sh, behind the second terminal: passes signals on to the command, and ends it when the
# terminal hangs up. $1 is the key with which every message of this script to the worker begins.
key=$1
trap '' HUP INT QUIT
stty raw -echo || exit
printf '%st%s.' "$key" "$(tty)"

# The process group of the command, then the names of signals. "end" comes when the command is over.
IFS= read -r group || exit
printf '%sg' "$key"
while IFS= read -r signal; do
    [ "$signal" != end ] || exit
    kill -s "$signal" -- "-$group"
done 2>/dev/null
{
    for signal in HUP CONT TERM; do kill -s "$signal" -- "-$group" || exit; done
    for _ in 1 2 3; do
        sleep 1
        kill -s 0 -- "-$group" || exit
    done
    kill -s KILL -- "-$group"
} 2>/dev/null
