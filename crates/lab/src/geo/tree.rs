//! A k-d tree over points on the unit sphere.

/// Points in an array: the middle of a slice splits it, and the axis with the widest spread is the one that is split.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    point: [f64; 3],
    /// The point's place in the list the tree was made of.
    place: usize,
    axis: usize,
}

/// The best point so far: its squared distance and its place.
type Best = Option<(f64, usize)>;

impl Tree {
    pub(super) fn new(points: impl Iterator<Item = [f64; 3]>) -> Self {
        let mut nodes: Vec<Node> =
            points.enumerate().map(|(place, point)| Node { point, place, axis: 0 }).collect();
        split(&mut nodes);
        Self { nodes }
    }

    /// The place of the nearest point that `accepts`; of several as near, the first.
    pub(super) fn nearest(&self, to: [f64; 3], accepts: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best = None;
        search(&self.nodes, to, &accepts, &mut best);
        best.map(|(_, place)| place)
    }
}

fn split(nodes: &mut [Node]) {
    let middle = nodes.len() / 2;
    if nodes.is_empty() {
        return;
    }
    let axis = widest_axis(nodes);
    nodes.select_nth_unstable_by(middle, |a, b| a.point[axis].total_cmp(&b.point[axis]));
    nodes[middle].axis = axis;
    let (before, rest) = nodes.split_at_mut(middle);
    split(before);
    split(&mut rest[1..]);
}

fn widest_axis(nodes: &[Node]) -> usize {
    let spread = |axis: usize| {
        let along = || nodes.iter().map(|node| node.point[axis]);
        along().fold(f64::MIN, f64::max) - along().fold(f64::MAX, f64::min)
    };
    (0..3).max_by(|&a, &b| spread(a).total_cmp(&spread(b))).unwrap_or(0)
}

fn search(nodes: &[Node], to: [f64; 3], accepts: &impl Fn(usize) -> bool, best: &mut Best) {
    let middle = nodes.len() / 2;
    let Some(node) = nodes.get(middle) else {
        return;
    };
    let found = (squared_distance(node.point, to), node.place);
    if best.is_none_or(|best| found < best) && accepts(node.place) {
        *best = Some(found);
    }
    let aside = to[node.axis] - node.point[node.axis];
    let (before, after) = (&nodes[..middle], &nodes[middle + 1..]);
    let (near, far) = if aside < 0.0 { (before, after) } else { (after, before) };
    search(near, to, accepts, best);
    // At the same distance too: the first of several as near may lie on the far side.
    if best.is_none_or(|(distance, _)| aside * aside <= distance) {
        search(far, to, accepts, best);
    }
}

fn squared_distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|axis| (a[axis] - b[axis]) * (a[axis] - b[axis])).sum()
}
