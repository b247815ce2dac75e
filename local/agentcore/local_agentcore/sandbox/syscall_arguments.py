"""Arguments to which some allowed system calls are restricted. Other arguments are refused.

The kernel reads most arguments as 32-bit integers and ignores the upper half of the register, so rules compare the
lower half only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LOW_HALF, ALL_BITS = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True)
class Match:
    """A condition on one argument: its bits in `mask` equal `value`. `index` starts at 0."""

    index: int
    value: int
    mask: int = LOW_HALF


@dataclass(frozen=True)
class NotNull:
    """A condition on one argument: a pointer that is not null."""

    index: int


Rule = tuple[Match | NotNull, ...]
"""Conditions that all have to be true."""


@dataclass(frozen=True)
class Restriction:
    """The arguments that a system call may have.

    Attributes:
        summary: What is allowed, for people.
        allowed: Rules, one of which has to be true.
        ignored: Rules of calls that return success without effect.
    """

    summary: str
    allowed: tuple[Rule, ...]
    ignored: tuple[Rule, ...] = ()


def _one_of(index: int, values: Iterable[int], *others: Match) -> tuple[Rule, ...]:
    return tuple((*others, Match(index, value)) for value in values)


# Sockets
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
FAMILIES = (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)
"""Families for which `socket` and `socketpair` do not fail with EAFNOSUPPORT."""
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET = 1, 2, 3, 5
SOCK_TYPE_MASK = 0xF
"""The other bits of a socket's type are flags, such as SOCK_CLOEXEC."""
IPPROTO_ANY, IPPROTO_TCP, IPPROTO_UDP, NETLINK_ROUTE = 0, 6, 17, 0
NAMESPACE_FLAGS = 0x7E020080
"""CLONE_NEW: time, mount, cgroup, uts, ipc, user, pid, network."""


def _socket(family: int, kind: int, protocol: int) -> Rule:
    return Match(0, family), Match(1, kind, SOCK_TYPE_MASK), Match(2, protocol)


UNIX_SOCKETS = tuple(_socket(AF_UNIX, kind, 0) for kind in (SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET))
INTERNET_SOCKETS = tuple(
    _socket(family, kind, protocol)
    for family in (AF_INET, AF_INET6)
    for kind, protocols in ((SOCK_STREAM, (IPPROTO_ANY, IPPROTO_TCP)), (SOCK_DGRAM, (IPPROTO_ANY, IPPROTO_UDP)))
    for protocol in protocols
)
NETLINK_SOCKETS = tuple(_socket(AF_NETLINK, kind, NETLINK_ROUTE) for kind in (SOCK_RAW, SOCK_DGRAM))

SOL_SOCKET, SOL_IP, SOL_TCP, SOL_UDP, SOL_IPV6, SOL_NETLINK = 1, 0, 6, 17, 41, 270
SO_SNDBUF, SO_RCVBUF = 7, 8
SOCKET_OPTIONS = {
    # REUSEADDR DONTROUTE BROADCAST SNDBUF RCVBUF KEEPALIVE OOBINLINE NO_CHECK PRIORITY LINGER REUSEPORT PASSCRED
    # RCVLOWAT SNDLOWAT RCVTIMEO SNDTIMEO DETACH_FILTER TIMESTAMP TIMESTAMPNS TIMESTAMPING RXQ_OVFL PEEK_OFF
    # INCOMING_CPU TIMESTAMP_NEW TIMESTAMPNS_NEW TIMESTAMPING_NEW RCVTIMEO_NEW SNDTIMEO_NEW
    SOL_SOCKET: (2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 18, 19, 20, 21, 27, 29, 35, 37, 40, 42, 49, 63, 64, 65, 66,
                 67),
    # TOS TTL RECVOPTS RETOPTS PKTINFO MTU_DISCOVER RECVERR RECVTTL RECVTOS BIND_ADDRESS_NO_PORT MULTICAST_IF
    # MULTICAST_TTL MULTICAST_LOOP ADD_MEMBERSHIP DROP_MEMBERSHIP MULTICAST_ALL LOCAL_PORT_RANGE
    SOL_IP: (1, 2, 6, 7, 8, 10, 11, 12, 13, 24, 32, 33, 34, 35, 36, 49, 51),
    # NODELAY MAXSEG CORK KEEPIDLE KEEPINTVL KEEPCNT SYNCNT LINGER2 DEFER_ACCEPT WINDOW_CLAMP QUICKACK CONGESTION
    # USER_TIMEOUT FASTOPEN NOTSENT_LOWAT FASTOPEN_CONNECT INQ
    SOL_TCP: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 18, 23, 25, 30, 36),
    SOL_UDP: (1, 103, 104),  # CORK SEGMENT GRO
    # UNICAST_HOPS MULTICAST_IF MULTICAST_HOPS MULTICAST_LOOP ADD_MEMBERSHIP DROP_MEMBERSHIP MTU_DISCOVER MTU RECVERR
    # V6ONLY RECVPKTINFO PKTINFO RECVHOPLIMIT HOPLIMIT RECVTCLASS TCLASS DONTFRAG
    SOL_IPV6: (16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 49, 50, 51, 52, 62, 66, 67),
    SOL_NETLINK: (1, 2, 3, 10, 11, 12),  # ADD_MEMBERSHIP DROP_MEMBERSHIP PKTINFO CAP_ACK EXT_ACK GET_STRICT_CHK
}  # fmt: skip
"""Options that may be set, by level. SO_ATTACH_FILTER (26), SO_ATTACH_BPF (50) and SO_ATTACH_REUSEPORT_CBPF and _EBPF
(51, 52) are missing: each filter takes memory for compiled programs, of which the machine has one amount
(`net.core.bpf_jit_limit`)."""
IOCTLS = (
    # Terminals: TCGETS TCSETS TCSETSW TCSETSF TCSBRK TCXONC TCFLSH TIOCEXCL TIOCNXCL TIOCSCTTY TIOCGPGRP TIOCSPGRP
    # TIOCOUTQ TIOCGWINSZ TIOCSWINSZ FIONREAD TIOCPKT FIONBIO TIOCNOTTY TIOCGSID TIOCGETD
    *(0x5401, 0x5402, 0x5403, 0x5404, 0x5409, 0x540A, 0x540B, 0x540C, 0x540D, 0x540E, 0x540F, 0x5410, 0x5411, 0x5413),
    *(0x5414, 0x541B, 0x5420, 0x5421, 0x5422, 0x5429, 0x5424),
    # Pseudo-terminals: TIOCGPTN TIOCSPTLCK TIOCGPTLCK TIOCGPTPEER TIOCGPKT; TCGETS2 TCSETS2 TCSETSW2 TCSETSF2
    *(0x80045430, 0x40045431, 0x80045439, 0x5441, 0x80045438, 0x802C542A, 0x402C542B, 0x402C542C, 0x402C542D),
    # Descriptors: FIONCLEX FIOCLEX FIOASYNC FIOQSIZE FIOSETOWN FIOGETOWN
    *(0x5450, 0x5451, 0x5452, 0x5460, 0x8901, 0x8903),
    # Files: FICLONE FICLONERANGE FS_IOC_GETFLAGS FS_IOC_FIEMAP FIGETBSZ
    *(0x40049409, 0x4020940D, 0x80086601, 0xC020660B, 0x2),
    # Sockets: SIOCATMARK SIOCGSTAMP SIOCGSTAMPNS SIOCGIFNAME SIOCGIFCONF SIOCGIFFLAGS SIOCGIFADDR SIOCGIFBRDADDR
    # SIOCGIFNETMASK SIOCGIFMTU SIOCGIFHWADDR SIOCGIFINDEX SIOCETHTOOL
    *(0x8905, 0x8906, 0x8907, 0x8910, 0x8912, 0x8913, 0x8915, 0x8919, 0x891B, 0x8921, 0x8927, 0x8933, 0x8946),
)
"""Requests that may be made. TIOCSTI and TIOCLINUX, which insert characters into a terminal's input, are missing."""
FCNTL_COMMANDS = (*range(12), 15, 16, 17, 36, 37, 38, 1024, 1025, *range(1028, 1039))
"""All commands except F_NOTIFY (1026), which observes directories and has no limit."""
PRCTL_OPTIONS = (
    # PDEATHSIG DUMPABLE KEEPCAPS TIMING NAME GET_SECCOMP CAPBSET_READ CAPBSET_DROP TSC SECUREBITS TIMERSLACK
    *(1, 2, 3, 4, 7, 8, 13, 14, 15, 16, 21, 23, 24, 25, 26, 27, 28, 29, 30),
    # CHILD_SUBREAPER NO_NEW_PRIVS GET_TID_ADDRESS THP_DISABLE CAP_AMBIENT SVE_GET_VL SPECULATION_CTRL
    # GET_TAGGED_ADDR_CTRL SME_GET_VL MDWE GET_SHADOW_STACK_STATUS
    *(36, 37, 38, 39, 40, 41, 42, 47, 51, 52, 53, 56, 64, 65, 66, 74),
    0x41555856,  # GET_AUXV
    0x53564D41,  # SET_VMA, names of memory areas
    0x59616D61,  # SET_PTRACER, of the Yama security module
)
"""Options that may be used. PR_SET_SECCOMP (22) is missing, as are PR_SET_MM (35), PR_SCHED_CORE (62) and
PR_SET_MEMORY_MERGE (67)."""
MADVISE_ADVICE = (0, 1, 2, 3, 4, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25)
"""All except MADV_MERGEABLE (12), by which code could detect equal pages of other processes, and the hardware faults
(100, 101)."""
POSIX_FADV_DONTNEED = 4
"""Removes a file's pages from the page cache, which all processes of the machine share. Ignored."""
FILE_TYPES = (0, 0o010000, 0o100000, 0o140000)
"""No type (a regular file), FIFO, regular file, socket. Devices are missing."""
FILE_TYPE_MASK = 0o170000
RLIMIT_CORE = 4
OTHER_RLIMITS = (*range(RLIMIT_CORE), *range(RLIMIT_CORE + 1, 16))
"""Every limit except that of core dumps, whose value prevents dumps (`NO_CORE_DUMP` in the launcher)."""
OWN_PROCESS = Match(0, 0)
"""Otherwise code could set limits of the supervisor, which has the same user, so that it runs no further program."""
MAP_SHARED_ANONYMOUS, MAP_SHARED, MAP_ANONYMOUS, MAP_HUGETLB = 0x21, 0x01, 0x20, 0x40000
MFD_HUGETLB = 4

RESTRICTIONS = {
    "clone": Restriction("no new namespaces", ((Match(0, 0, NAMESPACE_FLAGS),),)),
    "fadvise64": Restriction(
        "POSIX_FADV_DONTNEED has no effect", _one_of(3, (0, 1, 2, 3, 5)), _one_of(3, (POSIX_FADV_DONTNEED,))
    ),
    "fcntl": Restriction("no F_NOTIFY", _one_of(1, FCNTL_COMMANDS)),
    "ioctl": Restriction("terminals, descriptors, addresses of interfaces; no TIOCSTI", _one_of(1, IOCTLS)),
    "madvise": Restriction("no MADV_MERGEABLE", _one_of(2, MADVISE_ADVICE)),
    "memfd_create": Restriction("no huge pages", ((Match(1, 0, MFD_HUGETLB),),)),
    "mknod": Restriction("no devices", tuple((Match(1, kind, FILE_TYPE_MASK),) for kind in FILE_TYPES)),
    "mknodat": Restriction("no devices", tuple((Match(2, kind, FILE_TYPE_MASK),) for kind in FILE_TYPES)),
    "mmap": Restriction("no huge pages", ((Match(3, 0, MAP_HUGETLB),),)),
    "prctl": Restriction("no system-call filter, no memory map of another program", _one_of(0, PRCTL_OPTIONS)),
    "prlimit64": Restriction(
        "sets limits of the calling process only; setting RLIMIT_CORE has no effect",
        ((Match(2, 0, ALL_BITS),), *_one_of(1, OTHER_RLIMITS, OWN_PROCESS)),
        ((Match(1, RLIMIT_CORE), NotNull(2)),),
    ),
    "setrlimit": Restriction(
        "setting RLIMIT_CORE has no effect", _one_of(0, OTHER_RLIMITS), _one_of(0, (RLIMIT_CORE,))
    ),
    "setsockopt": Restriction(
        "no socket filters",
        tuple(rule for level, names in SOCKET_OPTIONS.items() for rule in _one_of(2, names, Match(1, level))),
    ),
    "socket": Restriction(
        "Unix; TCP and UDP over IPv4 and IPv6; netlink routes", UNIX_SOCKETS + INTERNET_SOCKETS + NETLINK_SOCKETS
    ),
    "socketpair": Restriction("Unix", UNIX_SOCKETS),
    "sync": Restriction("has no effect", (), ((),)),
    "syncfs": Restriction("has no effect", (), ((),)),
}
"""Restrictions by call."""

UNCOUNTED_MEMORY = {
    "memfd_create": Restriction("refused", ()),
    "mmap": Restriction(
        "no shared memory without a file",
        tuple((Match(3, value, MAP_SHARED_ANONYMOUS | MAP_HUGETLB),) for value in (0, MAP_SHARED, MAP_ANONYMOUS)),
    ),
    "setsockopt": Restriction(
        "SO_SNDBUF and SO_RCVBUF have no effect",
        tuple(
            rule
            for rule in RESTRICTIONS["setsockopt"].allowed
            if rule not in _one_of(2, (SO_SNDBUF, SO_RCVBUF), Match(1, SOL_SOCKET))
        ),
        _one_of(2, (SO_SNDBUF, SO_RCVBUF), Match(1, SOL_SOCKET)),
    ),
}
"""Restrictions that replace those above if no control group counts memory. They concern memory that neither an rlimit
nor a file system limits."""


def restrictions(*, memory_is_counted: bool) -> dict[str, Restriction]:
    """Returns the restrictions by call.

    Args:
        memory_is_counted: Whether a control group counts memory.
    """
    return RESTRICTIONS if memory_is_counted else RESTRICTIONS | UNCOUNTED_MEMORY
