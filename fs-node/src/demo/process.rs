//! One child process as the demo sees it: orders in, events out, and its last words.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Lines of a child's standard error that are kept: a panic with a backtrace.
const LAST_WORDS_MAX: usize = 200;
/// How long a child may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// What a child's standard output said.
#[derive(Debug)]
pub(crate) enum Said {
    /// A line.
    Line(String),
    /// It was closed: the process has ended, or is about to.
    Ended,
}

/// A child process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    listener: JoinHandle<()>,
}

impl Process {
    /// Starts this very program with other arguments, in a process group of its own so that a Ctrl-C at
    /// the terminal reaches only the demo. Its output goes to `inbox` under `number`.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn start(
        name: String,
        arguments: &[OsString],
        number: usize,
        inbox: mpsc::UnboundedSender<(usize, Said)>,
    ) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().expect("the output is piped");
        let complaints = child.stderr.take().expect("the output is piped");
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        tokio::spawn(forward(output, number, inbox));
        let listener = tokio::spawn(remember(complaints, Arc::clone(&last_words)));
        let input = child.stdin.take();
        Ok(Self {
            name,
            child,
            input,
            last_words,
            listener,
        })
    }

    /// What the demo calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a line.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) async fn send(&mut self, mut line: String) -> io::Result<()> {
        line.push('\n');
        match &mut self.input {
            Some(input) => input.write_all(line.as_bytes()).await,
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Closes its input and waits; kills it where that takes too long. The exit status, `None` where it
    /// was killed.
    pub(crate) async fn stop(&mut self) -> Option<ExitStatus> {
        drop(self.input.take());
        if let Ok(Ok(status)) = timeout(GRACE, self.child.wait()).await {
            return Some(status);
        }
        // An error says that it has ended meanwhile.
        let _ = self.child.kill().await;
        None
    }

    /// How it ended and what it said last, in one line.
    pub(crate) async fn epitaph(&mut self) -> String {
        let how = match timeout(GRACE, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it closed its output and hangs".into(),
        };
        // The listener ends with the process's standard error; grandchildren could keep that open.
        let _ = timeout(Duration::from_millis(500), &mut self.listener).await;
        let mut words = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match telling(words.make_contiguous()) {
            [] => format!("{how}; it said nothing"),
            words => format!("{how}; it said: {}", words.join(" | ")),
        }
    }
}

/// The lines that say why: a panic's place and message, which a backtrace may follow, or the last two.
fn telling(words: &[String]) -> &[String] {
    let panic = words.iter().position(|line| line.contains("panicked at"));
    let from = panic.unwrap_or_else(|| words.len().saturating_sub(2));
    &words[from..words.len().min(from + 2)]
}

async fn forward(
    output: impl AsyncRead + Unpin,
    number: usize,
    inbox: mpsc::UnboundedSender<(usize, Said)>,
) {
    let mut lines = BufReader::new(output).lines();
    // Whoever does not listen any more is about to kill the child.
    while let Ok(Some(line)) = lines.next_line().await {
        let _ = inbox.send((number, Said::Line(line)));
    }
    let _ = inbox.send((number, Said::Ended));
}

async fn remember(complaints: impl AsyncRead + Unpin, last_words: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = BufReader::new(complaints).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() == LAST_WORDS_MAX {
            words.pop_front();
        }
        words.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_before_its_backtrace() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let panic = lines("warning\nthread 'x' panicked at y.rs:3:4:\nno\nstack backtrace:\n 0: z");
        assert_eq!(
            telling(&panic),
            lines("thread 'x' panicked at y.rs:3:4:\nno")
        );
        assert_eq!(telling(&lines("one\ntwo\nthree")), lines("two\nthree"));
        assert!(telling(&[]).is_empty());
    }
}
