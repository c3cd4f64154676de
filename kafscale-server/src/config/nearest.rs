//! Finds the name that somebody probably meant.

/// The candidate with the fewest typing errors between it and `word`, if they are few: at most one for every six
/// letters.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = word.len().div_ceil(6);
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete or replace to make one word the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut previous: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.chars().enumerate() {
        let mut current = Vec::with_capacity(previous.len());
        current.push(row + 1);
        for (column, other) in to.iter().enumerate() {
            let above = previous.get(column + 1).copied().unwrap_or(usize::MAX - 1);
            let before = current.last().copied().unwrap_or(usize::MAX - 1);
            let diagonal = previous.get(column).copied().unwrap_or(usize::MAX - 1);
            current.push(
                (above + 1)
                    .min(before + 1)
                    .min(diagonal + usize::from(letter != *other)),
            );
        }
        previous = current;
    }
    previous.last().copied().unwrap_or(0)
}
