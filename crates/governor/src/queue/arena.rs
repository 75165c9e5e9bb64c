//! A slab whose entries can stand in lists: in at the back, out from anywhere, each O(1), and no memory but the slab's.
//!
//! Room that was freed is used again first, so the slab is as large as it ever had to be at once. What list an entry
//! stands in is for its owner to know: a wrong index or list mixes up the lists, but never panics.

#[derive(Debug)]
struct Node<T> {
    /// `None`: free.
    value: Option<T>,
    prev: Option<usize>,
    /// The next in its list, or the next free one.
    next: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Arena<T> {
    nodes: Vec<Node<T>>,
    free: Option<usize>,
}

/// The ends of one list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct List {
    first: Option<usize>,
    last: Option<usize>,
}

impl List {
    pub(super) fn first(&self) -> Option<usize> {
        self.first
    }
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: None }
    }
}

impl<T> Arena<T> {
    /// How many entries there are, and for how many there is room.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.nodes.iter().filter(|node| node.value.is_some()).count(), self.nodes.len())
    }

    pub(super) fn insert(&mut self, value: T) -> usize {
        if let Some(index) = self.free
            && let Some(node) = self.nodes.get_mut(index)
        {
            self.free = node.next.take();
            node.value = Some(value);
            return index;
        }
        self.nodes.push(Node { value: Some(value), prev: None, next: None });
        self.nodes.len() - 1
    }

    /// Takes out an entry that stands in no list.
    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        let node = self.nodes.get_mut(index)?;
        let value = node.value.take()?;
        node.next = self.free;
        self.free = Some(index);
        Some(value)
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.nodes.get(index)?.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.nodes.get_mut(index)?.value.as_mut()
    }

    /// Puts an entry that stands in no list at the end of this one.
    pub(super) fn link(&mut self, list: &mut List, index: usize) {
        let last = list.last.replace(index);
        if let Some(node) = self.nodes.get_mut(index) {
            node.prev = last;
        }
        match last {
            None => list.first = Some(index),
            Some(last) => self.point(last, Some(index)),
        }
    }

    /// Takes an entry out of the list it stands in.
    pub(super) fn unlink(&mut self, list: &mut List, index: usize) {
        let Some(node) = self.nodes.get_mut(index) else { return };
        let (prev, next) = (node.prev.take(), node.next.take());
        match prev {
            None => list.first = next,
            Some(prev) => self.point(prev, next),
        }
        match next.and_then(|next| self.nodes.get_mut(next)) {
            None => list.last = prev,
            Some(next) => next.prev = prev,
        }
    }

    fn point(&mut self, index: usize, next: Option<usize>) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.next = next;
        }
    }
}
