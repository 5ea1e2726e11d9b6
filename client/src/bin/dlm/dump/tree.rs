//! The files of gfs2 and fs/dlm, laid out as in debugfs.
//!
//! `gfs2/CLUSTER:LOCKSPACE/glocks`, and `dlm/LOCKSPACE`, `dlm/LOCKSPACE_locks`, `_all` and `_waiters`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use dlm_client::Servers;
use dlm_client::inspect::dump::{DlmDump, DlmFile, View};
use dlm_client::inspect::{self, LockspaceStatus, SessionStatus};

use super::write_glocks;
use crate::error::CommandError;
use crate::warning;

/// What stands before the colon in a filesystem's name.
const CLUSTER: &str = "glockwork";

/// How much text waits for all files together before it is written: files are many, and open for a moment only.
const TEXT_BYTES_MAX: usize = 4 << 20;

pub(super) async fn write(
    servers: &Servers,
    directory: &Path,
    lockspaces: &[LockspaceStatus],
    node: Option<&SessionStatus>,
) -> Result<(), CommandError> {
    let mut roots = BTreeMap::new();
    match node {
        Some(node) => {
            roots.insert(node.session, directory.to_owned());
        }
        None => {
            let mut names = BTreeSet::new();
            for each in lockspaces.iter().flat_map(|each| &each.sessions) {
                let mut name = file_name(&each.name);
                if !roots.contains_key(&each.session) && !names.insert(name.clone()) {
                    name = format!("{name}-{}", each.session);
                }
                let root = directory.join(name);
                roots.entry(each.session).or_insert(root);
            }
        }
    }
    for lockspace in lockspaces {
        let mut files = Files::default();
        let sessions = lockspace.sessions.iter();
        let sessions = sessions.filter(|each| roots.contains_key(&each.session));
        let sessions: Vec<u64> = sessions.map(|each| each.session).collect();
        write_dlm(servers, &lockspace.name, (&sessions, &roots), &mut files).await?;
        let only = node.map(|node| node.session);
        let filesystem = format!("{CLUSTER}:{}", file_name(&lockspace.name));
        let path = |session: u64| {
            let root = roots.get(&session)?;
            Some(root.join("gfs2").join(&filesystem).join("glocks"))
        };
        for path in sessions.iter().filter_map(|&session| path(session)) {
            files.begin(path)?;
        }
        if sessions.is_empty() {
            continue;
        }
        let mut glocks = inspect::glocks(servers, Some(&lockspace.name), only).await?;
        while let Some(page) = glocks.next_page().await? {
            // A session that opened the lockspace meanwhile has no directory.
            if let Some(path) = path(page.session) {
                write_glocks(&page, files.text(path));
                files.flush_if_large()?;
            }
        }
        files.flush()?;
    }
    Ok(())
}

async fn write_dlm(
    servers: &Servers,
    lockspace: &str,
    (sessions, roots): (&[u64], &BTreeMap<u64, PathBuf>),
    files: &mut Files,
) -> Result<(), CommandError> {
    let mut dumps = BTreeMap::new();
    for &session in sessions {
        for file in DlmFile::ALL {
            let name = format!("{}{}", file_name(lockspace), file.suffix());
            let path = roots[&session].join("dlm").join(name);
            files.begin(path.clone())?;
            let dump = DlmDump::begin(file, View::Session(session), files.text(path.clone()));
            let of_session: &mut Vec<_> = dumps.entry(session).or_default();
            of_session.push((path, dump));
        }
    }
    let mut locks = inspect::locks(servers, Some(lockspace)).await?;
    while let Some(resource) = locks.next_whole().await? {
        let seen_by: BTreeSet<u64> = resource.locks.iter().map(|lock| lock.session).collect();
        for session in seen_by {
            for (path, dump) in dumps.get_mut(&session).into_iter().flatten() {
                dump.resource(&resource, locks.uptime_us(), files.text(path.clone()));
            }
        }
        files.flush_if_large()?;
    }
    warning::incomplete(locks.coverage());
    files.flush()
}

/// The text that is not written yet, by file.
#[derive(Default)]
struct Files {
    texts: BTreeMap<PathBuf, String>,
}

impl Files {
    /// Makes an empty file, and the directories above it.
    fn begin(&self, path: PathBuf) -> Result<(), CommandError> {
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        parent
            .and_then(|()| fs::write(&path, ""))
            .map_err(|source| CommandError::Tree { path, source })
    }

    fn text(&mut self, path: PathBuf) -> &mut String {
        self.texts.entry(path).or_default()
    }

    fn flush_if_large(&mut self) -> Result<(), CommandError> {
        let bytes: usize = self.texts.values().map(String::len).sum();
        if bytes < TEXT_BYTES_MAX {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), CommandError> {
        for (path, text) in std::mem::take(&mut self.texts) {
            let file = OpenOptions::new().append(true).open(&path);
            file.and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(|source| CommandError::Tree { path, source })?;
        }
        Ok(())
    }
}

/// A name as that of a file. A session may be called `..`, or `a/b`.
fn file_name(name: &str) -> String {
    let name = name.replace('/', "_");
    match name.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_tree() {
        let names = ["node1", "..", ".", "a/../b", "/etc"].map(file_name);
        assert_eq!(names, ["node1", "_.", "_", "a_.._b", "_etc"]);
    }
}
