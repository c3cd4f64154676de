use super::*;

#[test]
fn a_slot_counts_only_when_all_before_it_have_landed() {
    let mut order = PrefixOrder::new(0);
    assert!(order.landed(2, 'c').is_empty());
    assert!(order.landed(1, 'b').is_empty());
    assert_eq!(order.landed(0, 'a'), [(0, 'a'), (1, 'b'), (2, 'c')]);
    assert_eq!(order.landed(3, 'd'), [(3, 'd')]);
}
