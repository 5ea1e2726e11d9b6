//! What of it is shown, and what the keys do.

use dlm_client::graph::{Object, Task};

use super::model::Model;

/// The longest filter: names are shorter.
const FILTER_MAX: usize = 128;

/// By what resources are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Grants,
    Waits,
    Callbacks,
    Demotions,
    Name,
}

/// The list in which something is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum List {
    #[default]
    Hot,
    Waiters,
}

/// A key, as far as there is something to do for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Character(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    Up,
    Down,
    /// Ctrl-C.
    Interrupt,
}

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) list: List,
    filter: String,
    /// A filter that is being typed; what it was before comes back with Escape.
    before: Option<String>,
    /// Rows go up and down as they are sorted anew, so that what is selected is a resource and no row.
    hot: Option<Object>,
    waiter: Option<(Task, Object)>,
    /// The resource that is shown by itself.
    pub(super) detail: Option<Object>,
    pub(super) ended: bool,
}

impl View {
    pub(super) fn filter(&self) -> &str {
        &self.filter
    }

    pub(super) const fn is_typing(&self) -> bool {
        self.before.is_some()
    }
}

impl Model {
    /// Somebody pressed a key.
    pub(super) fn press(&mut self, now_us: u64, key: Key) {
        if key == Key::Interrupt {
            self.view.ended = true;
        } else if self.view.is_typing() {
            self.view.typed(key);
        } else {
            self.command(now_us, key);
        }
    }

    fn command(&mut self, now_us: u64, key: Key) {
        let view = &mut self.view;
        match key {
            Key::Character('q') => view.ended = true,
            Key::Escape | Key::Backspace if view.detail.is_some() => view.detail = None,
            Key::Escape if !view.filter.is_empty() => view.filter.clear(),
            Key::Escape => view.ended = true,
            Key::Character('/') => {
                view.detail = None;
                view.before = Some(view.filter.clone());
            }
            Key::Character('g') => view.sort = Sort::Grants,
            Key::Character('w') => view.sort = Sort::Waits,
            Key::Character('c') => view.sort = Sort::Callbacks,
            Key::Character('d') => view.sort = Sort::Demotions,
            Key::Character('n') => view.sort = Sort::Name,
            Key::Tab => {
                view.list = match view.list {
                    List::Hot => List::Waiters,
                    List::Waiters => List::Hot,
                }
            }
            Key::Up | Key::Character('k') => self.select(now_us, -1),
            Key::Down | Key::Character('j') => self.select(now_us, 1),
            Key::Enter => self.view.detail = self.selected(now_us),
            _ => {}
        }
    }

    /// The row that is selected in a list: the first, until somebody moves.
    pub(super) fn selected_row(&self, now_us: u64, list: List) -> usize {
        let found = match list {
            List::Hot => {
                let mut rows = self.hot(now_us).into_iter();
                rows.position(|(object, _)| self.view.hot.as_ref() == Some(&object))
            }
            List::Waiters => {
                let mut rows = self.waiters(now_us).into_iter();
                rows.position(|one| self.view.waiter == Some((one.task, one.object)))
            }
        };
        found.unwrap_or_default()
    }

    fn select(&mut self, now_us: u64, by: isize) {
        let list = self.view.list;
        let row = self.selected_row(now_us, list).saturating_add_signed(by);
        match list {
            List::Hot => {
                let rows = self.hot(now_us);
                let row = row.min(rows.len().saturating_sub(1));
                self.view.hot = rows.into_iter().nth(row).map(|(object, _)| object);
            }
            List::Waiters => {
                let rows = self.waiters(now_us);
                let row = row.min(rows.len().saturating_sub(1));
                let row = rows.into_iter().nth(row);
                self.view.waiter = row.map(|one| (one.task, one.object));
            }
        }
    }

    fn selected(&self, now_us: u64) -> Option<Object> {
        let row = self.selected_row(now_us, self.view.list);
        match self.view.list {
            List::Hot => {
                let mut rows = self.hot(now_us).into_iter();
                rows.nth(row).map(|(object, _)| object)
            }
            List::Waiters => {
                let mut rows = self.waiters(now_us).into_iter();
                rows.nth(row).map(|one| one.object)
            }
        }
    }
}

impl View {
    fn typed(&mut self, key: Key) {
        match key {
            Key::Character(each) if self.filter.len() < FILTER_MAX => self.filter.push(each),
            Key::Backspace => drop(self.filter.pop()),
            Key::Enter => self.before = None,
            Key::Escape => self.filter = self.before.take().unwrap_or_default(),
            _ => {}
        }
    }
}
