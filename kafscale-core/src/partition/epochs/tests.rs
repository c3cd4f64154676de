use super::*;

#[test]
fn an_epoch_ends_where_the_next_begins() {
    let epochs = Epochs::restore([(1, 0), (3, 100), (4, 150)]);
    assert_eq!(epochs.end_of(1, 200), Some((1, 100)));
    assert_eq!(epochs.end_of(2, 200), Some((1, 100)));
    assert_eq!(epochs.end_of(4, 200), Some((4, 200)));
    assert_eq!(epochs.end_of(9, 200), Some((4, 200)));
    assert_eq!(epochs.end_of(0, 200), None);
    assert_eq!(epochs.at(99), Some(1));
    assert_eq!(epochs.at(100), Some(3));
}

#[test]
fn an_epoch_in_which_nothing_was_written_leaves_no_trace() {
    let mut epochs = Epochs::default();
    epochs.begin(1, 0);
    epochs.begin(2, 0);
    epochs.begin(2, 10);
    epochs.begin(1, 20);
    assert_eq!(epochs.pairs(), [(2, 0)]);
}

#[test]
fn trimming_keeps_the_epoch_of_the_first_record() {
    let mut epochs = Epochs::restore([(1, 0), (3, 100), (4, 150)]);
    epochs.trim(120);
    assert_eq!(epochs.pairs(), [(3, 100), (4, 150)]);
}
