//! Lending the terminal to the command.
//!
//! The command's process group is not the one that the shell has put in the foreground, so that the
//! whole of it can be killed, and Ctrl-C reaches `dlm lock`, which passes it on. A command that reads
//! the terminal is stopped by the kernel for it (SIGTTIN, SIGTTOU), and then gets the foreground, as a
//! shell would give it; from then on Ctrl-C reaches it directly, and it only. A pager behind a pipe
//! keeps what it needs, because a command that does not ask for the terminal does not get it.

use std::fs::File;
use std::io;

use rustix::process::{Pid, getpgrp, setpgid};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// Gives `borrower` the foreground if this process's group has it. Gives whether it did.
pub(crate) fn lend(borrower: Pid) -> bool {
    let Ok(terminal) = controlling() else {
        return false;
    };
    tcgetpgrp(&terminal) == Ok(getpgrp()) && tcsetpgrp(&terminal, borrower).is_ok()
}

/// Gives `lender` the foreground back if `borrower` has it. The borrower's number must still be its
/// group's; nobody of it needs to run.
pub(crate) fn take_back(borrower: Pid, lender: Pid) {
    let Ok(terminal) = controlling() else {
        return;
    };
    // Only the foreground may change the foreground without being stopped for it, so this process joins
    // it for a moment. The command has ended, so what is in the group now is on its way out, too.
    if tcgetpgrp(&terminal) == Ok(borrower) && setpgid(None, Some(borrower)).is_ok() {
        // A lender that is gone leaves the terminal to its shell, which takes it.
        let _ = tcsetpgrp(&terminal, lender);
        let _ = setpgid(None, None);
    }
}

fn controlling() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}
