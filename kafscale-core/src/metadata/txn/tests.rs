use super::*;

#[test]
fn the_limits_are_those_that_etcd_takes() {
    let mut txn = Txn::new();
    for i in 0..MAX_TXN_OPS {
        txn = txn
            .expect(format!("k{i}"), Expect::Absent)
            .put(format!("k{i}"), "v");
    }
    txn.check().unwrap();
    let more = txn.clone().put("one too many", "v");
    assert_eq!(more.check().unwrap_err().kind(), ErrorKind::TooLarge);
    let more = txn.expect("one too many", Expect::Present);
    assert_eq!(more.check().unwrap_err().kind(), ErrorKind::TooLarge);

    Txn::new()
        .put("k", vec![0u8; MAX_TXN_BYTES - 65])
        .check()
        .unwrap();
    let large = Txn::new().put("k", vec![0u8; MAX_TXN_BYTES - 64]);
    assert_eq!(large.check().unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn a_key_fits_into_every_store() {
    Txn::new().put("k".repeat(MAX_KEY_BYTES), "v").check().unwrap();
    let long = Txn::new().put("k".repeat(MAX_KEY_BYTES + 1), "v");
    assert_eq!(long.check().unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn empty_keys_and_prefixes_are_refused() {
    for txn in [
        Txn::new().put("", "v"),
        Txn::new().delete(""),
        Txn::new().delete_prefix(""),
        Txn::new().expect("", Expect::Absent),
    ] {
        assert_eq!(txn.check().unwrap_err().kind(), ErrorKind::Invalid, "{txn:?}");
    }
}

#[test]
fn a_key_that_is_put_is_changed_once() {
    for txn in [
        Txn::new().put("a/b", "1").put("a/b", "2"),
        Txn::new().put("a/b", "1").delete("a/b"),
        Txn::new().delete_prefix("a/").put("a/b", "1"),
    ] {
        assert_eq!(txn.check().unwrap_err().kind(), ErrorKind::Invalid, "{txn:?}");
    }
    Txn::new()
        .delete("a/b")
        .delete_prefix("a/")
        .put("b", "1")
        .put("a", "2")
        .check()
        .unwrap();
}
