"""The system calls that code in a sandbox may make, each with the reason. The kernel refuses every other call.

A call is allowed if programs in a sandbox need it and it affects the sandbox only. Calls that take a resource which all
processes of the machine share (socket filters, asynchronous I/O contexts, keys, huge pages) are not in the table, nor
are calls that no program of the sandbox needs. `syscall_arguments` restricts some of the allowed calls further.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """System calls with a common reason.

    Attributes:
        reason: Why programs need them.
        calls: Their names, separated by spaces.
    """

    reason: str
    calls: str


GROUPS = (
    Group("read and write open files, pipes and sockets",
          "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek"),
    Group("copy data between files, pipes and sockets", "sendfile splice tee copy_file_range"),
    Group("open and close files", "open openat openat2 creat close close_range"),
    Group("duplicate and configure descriptors", "dup dup2 dup3 fcntl ioctl"),
    Group("create pipes between processes", "pipe pipe2"),
    Group("check whether a file exists and is accessible", "access faccessat faccessat2"),
    Group("read metadata of files and file systems",
          "stat fstat lstat newfstatat statx statfs fstatfs readlink readlinkat"),
    Group("list directories", "getdents getdents64"),
    Group("change the working directory and the mode of new files", "chdir fchdir getcwd umask"),
    Group("create and remove directories and files",
          "mkdir mkdirat rmdir unlink unlinkat mknod mknodat"),
    Group("rename and link files", "rename renameat renameat2 link linkat symlink symlinkat"),
    Group("change permissions, owners and times of own files",
          "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat"),
    Group("extended attributes, which copies of files keep",
          "getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr removexattr "
          "lremovexattr fremovexattr"),
    Group("change the size of files", "truncate ftruncate fallocate"),
    Group("write a file's data to its file system", "fsync fdatasync sync_file_range"),
    Group("write all file systems; has no effect, because those of a sandbox are in memory", "sync syncfs"),
    Group("announce how a file will be read", "fadvise64"),
    Group("lock files between processes", "flock"),
    Group("watch files for changes; only sees the sandbox's own", "inotify_init inotify_init1 inotify_add_watch "
          "inotify_rm_watch"),
    Group("allocate and protect memory, map files", "brk mmap munmap mprotect mremap madvise msync"),
    Group("keep secrets from being swapped; fails, because no memory may be locked",
          "mlock mlock2 munlock mlockall munlockall"),
    Group("files in memory, which multiprocessing and JIT compilers use", "memfd_create"),
    Group("check which pages are in memory, which stack unwinders use", "mincore"),
    Group("protect memory of a JIT compiler (V8)", "pkey_alloc pkey_free pkey_mprotect"),
    Group("order memory accesses between threads", "membarrier"),
    Group("query the memory policy of a thread, which BLAS libraries use", "get_mempolicy"),
    Group("start processes and threads", "clone fork vfork execve execveat"),
    Group("end processes and wait for them", "exit exit_group wait4 waitid"),
    Group("signal processes of the sandbox", "kill tkill tgkill pidfd_open pidfd_send_signal"),
    Group("handle signals",
          "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait rt_sigqueueinfo "
          "rt_tgsigqueueinfo sigaltstack pause restart_syscall signalfd signalfd4"),
    Group("identify processes, groups and sessions of a terminal",
          "getpid getppid gettid getpgid getpgrp setpgid getsid setsid"),
    Group("read the user and the groups of a process",
          "getuid geteuid getgid getegid getresuid getresgid getgroups capget"),
    Group("set the user and the group to the current ones, as programs do before they run others",
          "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid"),
    Group("set up a thread in libc", "set_tid_address set_robust_list get_robust_list rseq arch_prctl"),
    Group("configure a process", "prctl"),
    Group("wait for other threads", "futex futex_waitv"),
    Group("share processors between threads",
          "sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler "
          "sched_setscheduler sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min "
          "sched_rr_get_interval getcpu"),
    Group("lower the priority of a process", "getpriority setpriority ioprio_get ioprio_set"),
    Group("read clocks", "clock_gettime clock_getres gettimeofday time times"),
    Group("sleep", "nanosleep clock_nanosleep"),
    Group("set timers",
          "alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime timer_settime "
          "timerfd_create timerfd_gettime timerfd_settime"),
    Group("wait for events of several descriptors",
          "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 "
          "eventfd eventfd2"),
    Group("create sockets", "socket socketpair"),
    Group("connect and accept", "bind listen accept accept4 connect shutdown getsockname getpeername"),
    Group("send and receive", "sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg"),
    Group("configure sockets", "getsockopt setsockopt"),
    Group("read and lower limits, measure use", "getrlimit setrlimit prlimit64 getrusage"),
    Group("describe the system", "uname sysinfo"),
    Group("random numbers", "getrandom"),
)  # fmt: skip

ALLOWED = {call: group.reason for group in GROUPS for call in group.calls.split()}
"""The reason by the name of each allowed call."""

NUMBERS = {
    "clone3": 435, "close_range": 436, "openat2": 437, "faccessat2": 439, "epoll_pwait2": 441, "futex_waitv": 449,
    "fchmodat2": 452, "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456,
}  # fmt: skip
"""Numbers of calls that older releases of libseccomp do not know. They are the same on every architecture."""

UNSUPPORTED = {
    "clone3": "a filter cannot read its flags; libc then calls clone",
    "futex_wake": "libc then calls futex",
    "futex_wait": "libc then calls futex",
    "futex_requeue": "libc then calls futex",
}
"""Calls that fail with ENOSYS instead of EPERM, because libc then uses another call."""
FIRST_UNKNOWN, LAST_UNKNOWN = 462, 511
"""Numbers of calls that are newer than this table (mseal of Linux 6.10, and later ones). They fail with ENOSYS, as on
an older kernel, so that programs use other calls. They are the same on every architecture."""

REFUSED = {
    "acct add_key adjtimex bpf clock_adjtime clock_settime delete_module finit_module init_module kexec_file_load "
    "kexec_load keyctl perf_event_open quotactl quotactl_fd reboot request_key settimeofday swapoff swapon syslog "
    "vhangup": "change or read the machine",
    "chroot fsconfig fsmount fsopen fspick listmount mount mount_setattr move_mount open_tree pivot_root setns "
    "statmount umount2 unshare": "change or list mounts and namespaces",
    "io_setup io_submit io_getevents io_pgetevents io_cancel io_destroy io_uring_setup io_uring_enter "
    "io_uring_register": "asynchronous I/O, whose contexts all processes of the machine share",
    "seccomp": "filters are compiled into memory that the whole machine shares",
    "fanotify_init fanotify_mark name_to_handle_at open_by_handle_at cachestat": "see files that others use",
    "kcmp pidfd_getfd process_madvise process_mrelease process_vm_readv process_vm_writev ptrace": "other processes",
    "mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node": "place memory on nodes of the machine",
    "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr msgget msgsnd msgrcv msgctl semget semop "
    "semtimedop semctl shmget shmat shmdt shmctl": "memory that outlives its process; libraries use /dev/shm",
    "memfd_secret userfaultfd modify_ldt iopl ioperm personality remap_file_pages vmsplice":
        "rarely used parts of the kernel with a history of faults",
    "landlock_create_ruleset landlock_add_rule landlock_restrict_self lsm_get_self_attr lsm_set_self_attr "
    "lsm_list_modules": "security modules, which the sandbox does not need",
}  # fmt: skip
"""Reasons by calls that are deliberately not allowed. Calls that are in neither table are refused as well."""
