//! What `dlm lock` and its watchdog say to each other: messages of 17 bytes, a letter and two numbers,
//! over a pair of sockets that nobody else has. The first one carries the command's standard input,
//! because the watchdog's own is the socket.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Pid, Signal};

/// The length of a message.
pub(crate) const MESSAGE_BYTES: usize = 17;

/// A message as it is sent.
pub(crate) type Message = [u8; MESSAGE_BYTES];

/// What `dlm lock` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// I run, and know of no loss; when the lock would be lost if nothing more were heard of the cluster.
    Heartbeat(Limits),
    /// The lock is lost.
    Lost,
    /// Pass this signal on to the command.
    Signal(Signal),
}

/// Until when the command may run, by a clock that goes on while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// It is told to end then.
    pub(crate) term_at: Duration,
    /// It is killed then.
    pub(crate) kill_at: Duration,
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
    /// The session could not be renewed for too long, and the command is being ended.
    NotRenewed,
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
            Self::Heartbeat(Limits { term_at, kill_at }) => {
                message(b'h', [term_at, kill_at].map(micros))
            }
            Self::Lost => message(b'l', [0; 2]),
            Self::Signal(signal) => number(b's', signal.as_raw()),
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
        let (letter, numbers) = parts(message);
        match letter {
            b'h' => {
                let [term_at, kill_at] = numbers.map(Duration::from_micros);
                Some(Self::Heartbeat(Limits { term_at, kill_at }))
            }
            b'l' => Some(Self::Lost),
            b's' => Signal::from_named_raw(signed(numbers)?).map(Self::Signal),
            _ => None,
        }
    }
}

impl Report {
    /// # Errors
    /// What the socket says.
    pub(crate) fn send(self, mut to: &UnixStream) -> io::Result<()> {
        to.write_all(&match self {
            Self::Running(group) => number(b'r', group.as_raw_pid()),
            Self::NotStarted(errno) => number(b'n', errno),
            Self::Stopped(signal) => number(b't', signal),
            Self::Silence => number(b'q', 0),
            Self::NotRenewed => number(b'u', 0),
            Self::Ended(Ending::Exited(status)) => number(b'e', status),
            Self::Ended(Ending::Killed(signal)) => number(b'k', signal),
        })
    }

    /// # Errors
    /// The message is none of ours.
    pub(crate) fn parse(message: Message) -> io::Result<Self> {
        let (letter, numbers) = parts(message);
        let number = signed(numbers).ok_or_else(unknown)?;
        Ok(match letter {
            b'r' => Self::Running(Pid::from_raw(number).ok_or_else(unknown)?),
            b'n' => Self::NotStarted(number),
            b't' => Self::Stopped(number),
            b'q' => Self::Silence,
            b'u' => Self::NotRenewed,
            b'e' => Self::Ended(Ending::Exited(number)),
            b'k' => Self::Ended(Ending::Killed(number)),
            _ => return Err(unknown()),
        })
    }
}

fn message(letter: u8, numbers: [u64; 2]) -> Message {
    let mut message = Message::default();
    message[0] = letter;
    for (place, number) in message[1..].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    message
}

/// A message with one number that fits into the system's.
fn number(letter: u8, number: i32) -> Message {
    message(letter, [i64::from(number).cast_unsigned(), 0])
}

fn parts(message: Message) -> (u8, [u64; 2]) {
    let mut numbers = [0; 2];
    for (number, bytes) in numbers.iter_mut().zip(message[1..].chunks_exact(8)) {
        *number = bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    }
    (message[0], numbers)
}

fn signed([number, _]: [u64; 2]) -> Option<i32> {
    i32::try_from(number.cast_signed()).ok()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message that means nothing")
}

/// Gives the watchdog the command's standard input, with the first heartbeat.
///
/// # Errors
/// What the socket says.
pub(crate) fn send_stdin(to: &UnixStream, stdin: BorrowedFd<'_>, limits: Limits) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [stdin];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let message = Order::Heartbeat(limits).message();
    sendmsg(
        to,
        &[IoSlice::new(&message)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// Takes the command's standard input, and the first heartbeat.
///
/// # Errors
/// What the socket says, or that either was not in the message.
pub(crate) fn receive_stdin(from: &UnixStream) -> io::Result<(OwnedFd, Limits)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut message = Message::default();
    let parts = &mut [IoSliceMut::new(&mut message)];
    recvmsg(from, parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match (descriptors, Order::parse(message)) {
        (Some(stdin), Some(Order::Heartbeat(limits))) => Ok((stdin, limits)),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    const LIMITS: Limits = Limits {
        term_at: Duration::from_micros(0x1234_5678_9abc),
        kill_at: Duration::from_secs(123_456_789),
    };

    #[test]
    fn what_is_sent_is_what_is_received() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let heartbeat = Order::Heartbeat(LIMITS);
        for order in [heartbeat, Order::Lost, Order::Signal(Signal::TTIN)] {
            (&ours).write_all(&order.message()).unwrap();
            assert_eq!(Order::receive(&theirs).unwrap(), order);
        }
        for report in [
            Report::Running(Pid::from_raw(77_777).unwrap()),
            Report::NotStarted(2),
            Report::Stopped(19),
            Report::Silence,
            Report::NotRenewed,
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
        assert_eq!(Order::parse(number(b'?', 0)), None);
        assert_eq!(Order::parse(number(b's', -1)), None);
        assert_eq!(Order::parse(message(b's', [1 << 40, 0])), None);
        assert!(Report::parse(number(b'?', 0)).is_err());
        assert!(Report::parse(number(b'r', 0)).is_err());
    }

    #[test]
    fn a_descriptor_goes_over_the_link() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reading, mut writing) = io::pipe().unwrap();
        send_stdin(&ours, reading.as_fd(), LIMITS).unwrap();
        let (received, limits) = receive_stdin(&theirs).unwrap();
        assert_eq!(limits, LIMITS);
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
