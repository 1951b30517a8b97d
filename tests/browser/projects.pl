# Looks at and changes projects of files and their quotas, as an attacker in a machine would, and as
# the host does. In Perl, because both the host and the machine have it and neither has a compiler.
#   get FILE                    prints its flags and its project, in hexadecimal
#   set FILE FLAGS PROJECT      FS_IOC_FSSETXATTR
#   flags FILE FLAGS            FS_IOC_SETFLAGS
#   limit FILE PROJECT          removes the limit of a project, with quotactl_fd(2)
#   usage FILE PROJECT          prints its limits and what it uses
use strict;
use warnings;
use Fcntl;

my ($verb, $path, @numbers) = @ARGV;
sysopen(my $file, $path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) or die "open: $!\n";
@numbers = map { hex } @numbers;

sub attributes {
    my $bytes = "\0" x 28;
    ioctl($file, 0x801c581f, $bytes) or die "get: $!\n";
    return unpack 'L5', $bytes;
}

sub quotactl {
    my ($command, $project) = @_;
    syscall(443, fileno $file, $command << 8 | 2, $project, $_[2]) >= 0 or die "quotactl: $!\n";
}

if ($verb eq 'get') {
    my @is = attributes();
    printf "%x %x\n", $is[0] & 0x7fffffff, $is[3];
} elsif ($verb eq 'set') {
    my @is = attributes();
    @is[0, 3] = @numbers;
    my $bytes = pack 'L5x8', @is;
    ioctl($file, 0x401c5820, $bytes) or die "set: $!\n";
} elsif ($verb eq 'flags') {
    my $bytes = pack 'Q', $numbers[0];
    ioctl($file, 0x40086602, $bytes) or die "flags: $!\n";
} elsif ($verb eq 'limit') {
    quotactl(0x800008, $numbers[0], my $quota = pack 'Q8L2', (0) x 8, 5, 0);
} elsif ($verb eq 'usage') {
    quotactl(0x800007, $numbers[0], my $quota = "\0" x 72);
    my @is = unpack 'Q8', $quota;
    print "$is[0] KiB, $is[3] files; in use $is[2] bytes, $is[5] files\n";
} else {
    die "what is $verb?\n";
}
