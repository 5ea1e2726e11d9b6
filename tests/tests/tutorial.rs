//! The tutorial is true: its commands are run one after the other in a shell, and what they say is held against what it
//! says that they say.
//!
//! Numbers may differ, and with them the widths of columns; `…` stands for lines that are left out. Everything else is
//! as it is written there, in its order.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tests::machine::{has_docker, has_userfaultfd};
use tests::process::Binaries;

/// How long a command may take: an image is made, containers start, a scenario runs.
const COMMAND_MAX: Duration = Duration::from_secs(300);
/// What comes after all that a command says.
const END: &str = "=== end of the command ===";

#[test]
fn the_tutorial_is_true() {
    if !has_docker() || !has_userfaultfd() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let text = fs::read_to_string(root.join("docs/tutorial.md")).expect("the tutorial");
    let mut shell = Shell::start(root);
    for step in steps(&text) {
        let said = shell.run(&step.command);
        if let Err(missing) = contains(&said, &step.says) {
            panic!(
                "$ {}\ndoes not say:\n{missing}\nit says:\n{}",
                step.command,
                said.join("\n")
            );
        }
    }
}

/// A command, and what the tutorial says that it says.
#[derive(Debug, Default, PartialEq)]
struct Step {
    command: String,
    says: Vec<String>,
}

/// All commands of its console blocks.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (inside, line.strip_prefix("$ ")) {
            (_, None) if line == "```console" => inside = true,
            (true, None) if line == "```" => inside = false,
            (true, Some(command)) => steps.push(Step {
                command: command.to_owned(),
                says: Vec::new(),
            }),
            (true, None) => steps
                .last_mut()
                .expect("a command")
                .says
                .push(line.to_owned()),
            (false, _) => {}
        }
    }
    steps
}

/// Whether all that is to be said was, in its order: lines in between are only where an ellipsis is. Else what is
/// missing.
fn contains(said: &[String], wanted: &[String]) -> Result<(), String> {
    let mut rest = said
        .iter()
        .map(|line| plain(line))
        .filter(|line| !line.is_empty());
    let mut anything = false;
    for line in wanted.iter().filter(|line| !line.trim().is_empty()) {
        if line.trim() == "…" {
            anything = true;
            continue;
        }
        let wanted = plain(line);
        let found = if anything {
            rest.any(|line| line == wanted)
        } else {
            rest.next().is_some_and(|line| line == wanted)
        };
        if !found {
            return Err(line.clone());
        }
        anything = false;
    }
    match rest.next() {
        Some(line) if !anything => Err(format!("nothing more, where it says: {line}")),
        _ => Ok(()),
    }
}

/// A line without what differs from one run to the next: numbers, where
/// there are none in a table, units of time, and spaces.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    for word in line.split_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        if word == "-" {
            plain.push('#');
        } else if ["us", "ms", "min"].contains(&word) {
            plain.push('s');
        } else if word.starts_with("----") {
            plain.push_str("----");
        } else {
            push_without_numbers(&mut plain, word);
        }
    }
    plain
}

fn push_without_numbers(to: &mut String, word: &str) {
    let mut number = false;
    let digit = |c: char| c.is_ascii_digit();
    for (at, c) in word.char_indices() {
        let next = word[at + c.len_utf8()..].chars().next();
        let inside = number && (c == '.' || c == '-') && next.is_some_and(digit);
        if digit(c) || inside {
            if !number {
                to.push('#');
            }
            number = true;
        } else {
            number = false;
            to.push(c);
        }
    }
}

/// A shell in which one command follows another, in a cluster of its own.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    name: String,
}

impl Shell {
    fn start(root: &Path) -> Self {
        let programs = Binaries::built().path("dlm");
        let programs = programs.parent().expect("a directory").to_owned();
        let name = format!("glockwork-tutorial-{}", std::process::id());
        let number = std::process::id();
        let (a, b) = (100 + number / 256 % 100, number % 256);
        let mut command = Command::new("bash");
        command
            .current_dir(root)
            .env_remove("GLOCKWORK_ENDPOINTS")
            .env("GLOCKWORK_CLUSTER", &name)
            .env("GLOCKWORK_IMAGE", &name)
            .env("GLOCKWORK_NET", format!("10.{a}.{b}"))
            .env("GLOCKWORK_PUBLISH", format!("127.{a}.{b}"))
            .env(
                "PATH",
                format!(
                    "{}:{}",
                    programs.display(),
                    std::env::var("PATH").expect("a path")
                ),
            )
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().expect("bash");
        let input = child.stdin.take().expect("it is piped");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (sender, output) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut shell = Self {
            child,
            input,
            output,
            name,
        };
        // The image that `up` would make, from the programs that are built.
        shell.run(&format!(
            "deploy/image --from {} {}",
            programs.display(),
            shell.name
        ));
        shell
    }

    /// What a command says, on both its outputs.
    fn run(&mut self, command: &str) -> Vec<String> {
        eprintln!("$ {command}");
        writeln!(
            self.input,
            "{{ {command}\n}} </dev/null 2>&1; echo; echo '{END}' $?"
        )
        .expect("a shell");
        let mut said = Vec::new();
        loop {
            let line = self.output.recv_timeout(COMMAND_MAX);
            let line = line.unwrap_or_else(|_| panic!("{command} does not end, after {said:?}"));
            if let Some(code) = line.strip_prefix(END) {
                assert_eq!(code.trim(), "0", "{command}: {}", said.join("\n"));
                return said;
            }
            eprintln!("{line}");
            said.push(line.replace(&self.name, "glockwork"));
        }
    }
}

/// Whatever happens, nothing is left.
impl Drop for Shell {
    fn drop(&mut self) {
        let end = format!("deploy/cluster down; docker rmi --force {}", self.name);
        // A shell that is still busy is ended by the end of its input.
        let _ = writeln!(self.input, "{{ {end}\n}} >/dev/null 2>&1; exit");
        let _ = self.input.flush();
        let _ = self.child.wait();
    }
}

#[test]
fn what_differs_is_left_out_and_nothing_else() {
    assert_eq!(plain("node1  1494   37.5 12-34  -"), "node# # # # #");
    assert_eq!(plain("----------- "), "----");
    assert_eq!(plain("652 ms"), plain("1.6 s"));
    assert_eq!(plain("it is 5s, at 10.0.0.1:7170."), "it is #s, at #:#.");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let said = lines("one 1\n\ntwo 2\nthree 3\nfour");
    assert!(contains(&said, &lines("one 7\ntwo 0\n…\nfour")).is_ok());
    assert!(contains(&said, &lines("one 7\n…")).is_ok());
    assert!(contains(&said, &lines("one 7\nthree 3\nfour")).is_err());
    assert!(contains(&said, &lines("one 7\ntwo 2\nthree 3")).is_err());
    let steps = steps("text\n```console\n$ a\nsaid\n$ b\n```\n$ no\n");
    assert_eq!(steps.len(), 2);
    assert_eq!((steps[0].command.as_str(), steps[0].says.len()), ("a", 1));
}
