//! The best Huffman codes for given symbols (T.81, K.2).

/// How often each symbol comes.
pub(super) type Counts = [u32; 256];

/// A table, as it is stored and as it is used.
pub(super) struct Table {
    /// How many codes there are of each length from 1 to 16.
    pub(super) lengths: [u8; 16],
    /// In the order of codes.
    pub(super) symbols: Vec<u8>,
    /// The code of each symbol and its length.
    pub(super) codes: [(u16, u8); 256],
}

impl Table {
    pub(super) fn new(counts: &Counts) -> Self {
        const LONGEST: usize = 16;
        // The code of 1 bits alone is not to be used (C.2): it goes to a symbol that never comes.
        const NONE: usize = 256;
        let mut symbols: Vec<usize> = (0..NONE).filter(|&symbol| counts[symbol] > 0).collect();
        symbols.sort_by_key(|&symbol| std::cmp::Reverse(counts[symbol]));
        let weights: Vec<u64> = symbols.iter().map(|&symbol| counts[symbol].into()).chain([0]).collect();

        let mut lengths = [0_usize; 64];
        for length in depths(&weights) {
            lengths[length.min(63)] += 1;
        }
        // Too long codes: two of them become one that is a bit shorter, and a shorter one becomes two (K.3).
        for length in (LONGEST + 1..64).rev() {
            while lengths[length] > 0 {
                let shorter = (1..length - 1).rev().find(|&shorter| lengths[shorter] > 0).unwrap_or(1);
                lengths[length] -= 2;
                lengths[length - 1] += 1;
                lengths[shorter] -= 1;
                lengths[shorter + 1] += 2;
            }
        }
        if let Some(longest) = (1..=LONGEST).rev().find(|&length| lengths[length] > 0) {
            lengths[longest] -= 1;
        }

        let mut codes = [(0, 0); 256];
        let (mut code, mut rest) = (0_u32, symbols.iter());
        for (length, &count) in (1..).zip(&lengths[1..=LONGEST]) {
            for &symbol in rest.by_ref().take(count) {
                codes[symbol] = (code as u16, length);
                code += 1;
            }
            code <<= 1;
        }
        let lengths = std::array::from_fn(|index| lengths[index + 1] as u8);
        Self { lengths, symbols: symbols.into_iter().map(|symbol| symbol as u8).collect(), codes }
    }
}

/// The depths of a Huffman tree's leaves. The weights come from the heaviest to the lightest.
fn depths(weights: &[u64]) -> Vec<usize> {
    let leaves = weights.len();
    // Leaves from the lightest on, then the nodes over them, which come about in order as well.
    let mut nodes: Vec<u64> = weights.iter().rev().copied().collect();
    let mut parents = vec![0; 2 * leaves];
    let (mut leaf, mut node) = (0, leaves);
    for next in leaves..2 * leaves - 1 {
        let mut lightest = || {
            let is_leaf = leaf < leaves && (node >= next || nodes[leaf] <= nodes[node]);
            let at = if is_leaf { &mut leaf } else { &mut node };
            *at += 1;
            *at - 1
        };
        let (a, b) = (lightest(), lightest());
        (parents[a], parents[b]) = (next, next);
        nodes.push(nodes[a] + nodes[b]);
    }
    let mut depths = vec![0; 2 * leaves];
    for at in (0..(2 * leaves - 1).saturating_sub(1)).rev() {
        depths[at] = depths[parents[at]] + 1;
    }
    // A symbol on its own has a code of one bit all the same.
    depths[..leaves].iter().map(|&depth: &usize| depth.max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: &Counts) -> u64 {
        let table = Table::new(counts);
        let used = counts.iter().filter(|&&count| count > 0).count();
        assert_eq!(table.symbols.len(), used);
        assert_eq!(table.lengths.iter().map(|&count| usize::from(count)).sum::<usize>(), used);
        // There is room for at least one more code of the longest length, that of 1 bits alone.
        let longest = (1..=16).rev().find(|&length| table.lengths[length - 1] > 0).unwrap_or(1);
        let taken: u32 =
            (1..=longest).map(|length| u32::from(table.lengths[length - 1]) << (longest - length)).sum();
        assert!(taken < 1 << longest, "{taken} of {}", 1 << longest);
        for (symbol, &count) in counts.iter().enumerate() {
            assert_eq!(table.codes[symbol].1 > 0, count > 0);
        }
        (0..256).map(|symbol| u64::from(counts[symbol]) * u64::from(table.codes[symbol].1)).sum()
    }

    #[test]
    fn frequent_symbols_have_short_codes() {
        let mut counts = [0; 256];
        counts[7] = 1;
        assert_eq!(check(&counts), 1);
        counts[9] = 1;
        assert_eq!(check(&counts), 3, "0 and 10");
        counts[200] = 8;
        assert_eq!(check(&counts), 8 + 2 + 3);
        check(&[0; 256]);
        assert_eq!(check(&[1; 256]), 256 * 8 + 1, "one of them has to make room");
    }

    #[test]
    fn no_code_is_longer_than_16_bits() {
        // Fibonacci numbers make the deepest tree.
        let mut counts = [0; 256];
        let (mut a, mut b) = (1, 1);
        for count in &mut counts[..40] {
            *count = a;
            (a, b) = (b, a + b);
        }
        check(&counts);
        counts[..40].reverse();
        check(&counts);
    }
}
