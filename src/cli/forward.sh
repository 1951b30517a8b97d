# shellcheck shell=sh
# Connects standard input and output to a port of this machine, or to a socket ($1). Each way ends
# by itself.
if command -v perl >/dev/null; then
    exec perl -e '
        use Socket qw(:all);
        my $to = shift;
        my @ways = $to =~ m{^/}
            ? [PF_UNIX, pack_sockaddr_un($to)]
            : ([PF_INET, pack_sockaddr_in($to, INADDR_LOOPBACK)], [PF_INET6, pack_sockaddr_in6($to, IN6ADDR_LOOPBACK)]);
        my ($socket, $why);
        for (@ways) {
            socket($socket, $_->[0], SOCK_STREAM, 0) && connect($socket, $_->[1]) && ($why = "", last);
            $why = $!;
        }
        die "$why\n" if $why;
        sub copy {
            my ($from, $into, $bytes) = @_;
            while (my $length = sysread($from, $bytes, 65536)) {
                for (my $at = 0; $at < $length;) {
                    my $done = syswrite($into, $bytes, $length - $at, $at) or return;
                    $at += $done;
                }
            }
        }
        my $child = fork() // die "$!\n";
        if (!$child) { copy($socket, \*STDOUT); exit }
        close(STDOUT);
        copy(\*STDIN, $socket);
        shutdown($socket, 1);
        waitpid($child, 0);
    ' "$1"
elif command -v python3 >/dev/null; then
    exec python3 -c '
import os, socket, sys, threading
to = sys.argv[1]
ways = [(socket.AF_UNIX, to)] if to.startswith("/") else [(socket.AF_INET, ("127.0.0.1", int(to))), (socket.AF_INET6, ("::1", int(to)))]
for family, address in ways:
    peer = socket.socket(family)
    try:
        peer.connect(address)
        break
    except OSError as error:
        why = error.strerror
else:
    sys.exit(why)
def back():
    while piece := peer.recv(65536):
        while piece:
            piece = piece[os.write(1, piece):]
    os._exit(0)
threading.Thread(target=back).start()
while piece := os.read(0, 65536):
    peer.sendall(piece)
peer.shutdown(socket.SHUT_WR)
' "$1"
else
    echo 'neither perl nor python3 is there' >&2
    exit 127
fi
