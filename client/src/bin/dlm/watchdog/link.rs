//! What `dlm lock` and its watchdog say to each other: messages of five bytes, a letter and a number,
//! over a pair of sockets that nobody else has. The first one carries the command's standard input,
//! because the watchdog's own is the socket.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, Signal};

/// The length of a message.
pub(crate) const MESSAGE_BYTES: usize = 5;

/// A message as it is sent.
pub(crate) type Message = [u8; MESSAGE_BYTES];

/// What `dlm lock` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// I run, and know of no loss.
    Heartbeat,
    /// The lock is lost.
    Lost,
    /// Pass this signal on to the command.
    Signal(Signal),
}

/// What the watchdog says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The command runs, and this is its process group.
    Running(Pid),
    /// The command could not be started, for this reason (errno).
    NotStarted(i32),
    /// The command was stopped by this signal.
    Stopped(i32),
    /// There was no heartbeat for too long, and the command is being ended.
    Silence,
    /// The command has ended, and nothing of its group is left.
    Ended(Ending),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl Order {
    pub(crate) fn message(self) -> Message {
        match self {
            Self::Heartbeat => message(b'h', 0),
            Self::Lost => message(b'l', 0),
            Self::Signal(signal) => message(b's', signal.as_raw()),
        }
    }

    /// Waits for the next one.
    ///
    /// # Errors
    /// What the socket says; its end is an error, too.
    pub(crate) fn receive(mut from: &UnixStream) -> io::Result<Self> {
        let mut message = Message::default();
        from.read_exact(&mut message)?;
        Self::parse(message).ok_or_else(unknown)
    }

    fn parse(message: Message) -> Option<Self> {
        let (letter, number) = parts(message);
        match letter {
            b'h' => Some(Self::Heartbeat),
            b'l' => Some(Self::Lost),
            b's' => Signal::from_named_raw(number).map(Self::Signal),
            _ => None,
        }
    }
}

impl Report {
    /// # Errors
    /// What the socket says.
    pub(crate) fn send(self, mut to: &UnixStream) -> io::Result<()> {
        to.write_all(&match self {
            Self::Running(group) => message(b'r', group.as_raw_pid()),
            Self::NotStarted(errno) => message(b'n', errno),
            Self::Stopped(signal) => message(b't', signal),
            Self::Silence => message(b'q', 0),
            Self::Ended(Ending::Exited(status)) => message(b'e', status),
            Self::Ended(Ending::Killed(signal)) => message(b'k', signal),
        })
    }

    /// # Errors
    /// The message is none of ours.
    pub(crate) fn parse(message: Message) -> io::Result<Self> {
        let (letter, number) = parts(message);
        Ok(match letter {
            b'r' => Self::Running(Pid::from_raw(number).ok_or_else(unknown)?),
            b'n' => Self::NotStarted(number),
            b't' => Self::Stopped(number),
            b'q' => Self::Silence,
            b'e' => Self::Ended(Ending::Exited(number)),
            b'k' => Self::Ended(Ending::Killed(number)),
            _ => return Err(unknown()),
        })
    }
}

fn message(letter: u8, number: i32) -> Message {
    let [a, b, c, d] = number.to_le_bytes();
    [letter, a, b, c, d]
}

fn parts([letter, a, b, c, d]: Message) -> (u8, i32) {
    (letter, i32::from_le_bytes([a, b, c, d]))
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message that means nothing")
}

/// Gives the watchdog the command's standard input.
///
/// # Errors
/// What the socket says.
pub(crate) fn send_stdin(to: &UnixStream, stdin: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [stdin];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let message = Order::Heartbeat.message();
    sendmsg(
        to,
        &[IoSlice::new(&message)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Takes the command's standard input.
///
/// # Errors
/// What the socket says, or that there was none in the message.
pub(crate) fn receive_stdin(from: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut message = Message::default();
    let parts = &mut [IoSliceMut::new(&mut message)];
    recvmsg(from, parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptors.ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_sent_is_what_is_received() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        for order in [Order::Heartbeat, Order::Lost, Order::Signal(Signal::TTIN)] {
            (&ours).write_all(&order.message()).unwrap();
            assert_eq!(Order::receive(&theirs).unwrap(), order);
        }
        for report in [
            Report::Running(Pid::from_raw(77_777).unwrap()),
            Report::NotStarted(2),
            Report::Stopped(19),
            Report::Silence,
            Report::Ended(Ending::Exited(255)),
            Report::Ended(Ending::Killed(9)),
        ] {
            report.send(&theirs).unwrap();
            let mut message = Message::default();
            (&ours).read_exact(&mut message).unwrap();
            assert_eq!(Report::parse(message).unwrap(), report);
        }
        drop(ours);
        assert!(Order::receive(&theirs).is_err());
    }

    #[test]
    fn nonsense_is_an_error() {
        assert_eq!(Order::parse(message(b'?', 0)), None);
        assert_eq!(Order::parse(message(b's', -1)), None);
        assert!(Report::parse(message(b'?', 0)).is_err());
        assert!(Report::parse(message(b'r', 0)).is_err());
    }

    #[test]
    fn a_descriptor_goes_over_the_link() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reading, mut writing) = io::pipe().unwrap();
        send_stdin(&ours, reading.as_fd()).unwrap();
        let received = receive_stdin(&theirs).unwrap();
        drop(reading);
        writing.write_all(b"over").unwrap();
        drop(writing);
        let mut text = String::new();
        File::from(received).read_to_string(&mut text).unwrap();
        assert_eq!(text, "over");
        (&ours).write_all(b"short").unwrap();
        assert!(receive_stdin(&theirs).is_err(), "there is none in it");
    }
}
