//! A filter of system calls: those that open doors no server goes through, and sockets the profile does not grant.
//! Written as the few instructions it takes; the list is compiled before the fork and installed after it.
//! Rule: a refused call fails with an error, it never kills.

use super::super::plan::Plan;
use super::super::profile::{Base, Net};
use super::step;
use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long, sock_filter,
};
use std::io;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xC000_00B7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCH: u32 = 0;

/// Beginning of the numbers of the x32 calls, a second set on x86-64.
#[cfg(target_arch = "x86_64")]
const SECOND_SET: Option<u32> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const SECOND_SET: Option<u32> = None;

/// Places of the call's number, the processor and the low half of the first argument in what a filter sees.
const NUMBER: u32 = 0;
const PROCESSOR: u32 = 4;
const FIRST: u32 = 16;

/// Refused under every profile: keys of the kernel, its programs and modules, files by number, and io_uring, whose
/// work no filter sees.
const ALWAYS: &[(c_long, i32)] = &[
    (libc::SYS_add_key, libc::EPERM),
    (libc::SYS_request_key, libc::EPERM),
    (libc::SYS_keyctl, libc::EPERM),
    (libc::SYS_bpf, libc::EPERM),
    (libc::SYS_userfaultfd, libc::EPERM),
    (libc::SYS_init_module, libc::EPERM),
    (libc::SYS_finit_module, libc::EPERM),
    (libc::SYS_delete_module, libc::EPERM),
    (libc::SYS_kexec_load, libc::EPERM),
    (libc::SYS_open_by_handle_at, libc::EPERM),
    (libc::SYS_io_uring_setup, libc::ENOSYS),
    (libc::SYS_io_uring_enter, libc::ENOSYS),
    (libc::SYS_io_uring_register, libc::ENOSYS),
];

/// Refused under the strict profile as well: looking into processes, and every kind of namespace and mount.
const STRICT: &[(c_long, i32)] = &[
    (libc::SYS_ptrace, libc::EPERM),
    (libc::SYS_process_vm_readv, libc::EPERM),
    (libc::SYS_process_vm_writev, libc::EPERM),
    (libc::SYS_pidfd_getfd, libc::EPERM),
    (libc::SYS_perf_event_open, libc::EPERM),
    (libc::SYS_unshare, libc::EPERM),
    (libc::SYS_setns, libc::EPERM),
    (libc::SYS_mount, libc::EPERM),
    (libc::SYS_umount2, libc::EPERM),
    (libc::SYS_pivot_root, libc::EPERM),
    (libc::SYS_chroot, libc::EPERM),
    (libc::SYS_open_tree, libc::EPERM),
    (libc::SYS_move_mount, libc::EPERM),
    (libc::SYS_fsopen, libc::EPERM),
    (libc::SYS_fsmount, libc::EPERM),
    (libc::SYS_mount_setattr, libc::EPERM),
    (libc::SYS_swapon, libc::EPERM),
    (libc::SYS_swapoff, libc::EPERM),
    (libc::SYS_reboot, libc::EPERM),
    (libc::SYS_settimeofday, libc::EPERM),
    (libc::SYS_clock_settime, libc::EPERM),
    (libc::SYS_quotactl, libc::EPERM),
    (libc::SYS_acct, libc::EPERM),
    // Its flags lie in memory, which a filter cannot read; C libraries then take `clone`.
    (libc::SYS_clone3, libc::ENOSYS),
];

/// All kinds of namespaces, as flags of `clone`.
const NAMESPACES: u32 = 0x7E02_0080;

/// Whether system calls can be filtered here.
pub fn work() -> bool {
    // SAFETY: asks for the present mode.
    ARCH != 0 && unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) } >= 0
}

/// The kinds of sockets that may be made; `None` is all.
fn sockets(plan: &Plan) -> Option<Vec<i32>> {
    let inet = plan.net != Net::None;
    let strict = plan.base == Base::Strict;
    if inet && !strict {
        return None;
    }
    // Local sockets lead to agents, keyrings and container engines.
    let kinds =
        [(libc::AF_NETLINK, true), (libc::AF_UNIX, !strict), (libc::AF_INET, inet), (libc::AF_INET6, inet)];
    Some(kinds.into_iter().filter(|(_, open)| *open).map(|(kind, _)| kind).collect())
}

/// The filter of a plan.
pub fn filter(plan: &Plan) -> Vec<sock_filter> {
    let mut code = vec![load(PROCESSOR), jump(BPF_JEQ, ARCH, 1, 0), refuse(libc::ENOSYS), load(NUMBER)];
    if let Some(second) = SECOND_SET {
        code.extend([jump(BPF_JGE, second, 0, 1), refuse(libc::ENOSYS)]);
    }
    let strict: &[(c_long, i32)] = if plan.base == Base::Strict { STRICT } else { &[] };
    for (call, error) in ALWAYS.iter().chain(strict) {
        code.extend([jump(BPF_JEQ, number(*call), 0, 1), refuse(*error)]);
    }
    if plan.base == Base::Strict {
        let clone = [load(FIRST), jump(BPF_JSET, NAMESPACES, 0, 1), refuse(libc::EPERM), load(NUMBER)];
        code.extend(only_for(libc::SYS_clone, &clone));
    }
    if let Some(kinds) = sockets(plan) {
        let mut socket = vec![load(FIRST)];
        socket
            .extend(kinds.into_iter().flat_map(|kind| [jump(BPF_JEQ, kind.cast_unsigned(), 0, 1), allow()]));
        socket.push(refuse(libc::EPERM));
        code.extend(only_for(libc::SYS_socket, &socket));
    }
    code.push(allow());
    code
}

/// Instructions that every other call jumps over.
fn only_for(call: c_long, inside: &[sock_filter]) -> Vec<sock_filter> {
    let over = u8::try_from(inside.len()).expect("a handful of instructions");
    [&[jump(BPF_JEQ, number(call), 0, over)], inside].concat()
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).expect("numbers of calls are small")
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("codes have 16 bits"), jt, jf, k }
}

fn load(place: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, place, 0, 0)
}

fn jump(test: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(BPF_JMP | test | BPF_K, value, yes, no)
}

fn refuse(error: i32) -> sock_filter {
    instruction(BPF_RET | BPF_K, libc::SECCOMP_RET_ERRNO | error.cast_unsigned(), 0, 0)
}

fn allow() -> sock_filter {
    instruction(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0)
}

/// Runs in the child, as the last step.
pub fn install(filter: &[sock_filter]) -> io::Result<()> {
    if filter.is_empty() {
        return Ok(());
    }
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(u16::MAX),
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the instructions; it does not write to them.
    let answer = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, std::ptr::from_ref(&program), 0, 0)
    };
    step(7, answer)
}
