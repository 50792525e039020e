use super::{BUCKET, Stack, code};

#[tokio::test]
async fn keys_are_listed_by_their_bytes_and_rolled_up() {
    let stack = Stack::start().await;
    for key in ["b", "a/2", "a/1", "a", "a-b", "ä/1", "c/x/1", "c/y/1", "c/z"] {
        stack.put(key, b"12").await;
    }
    let client = stack.client();
    let list = || client.list_objects_v2().bucket(BUCKET);
    let all = list().send().await.unwrap();
    let keys: Vec<_> = all.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(keys, ["a", "a-b", "a/1", "a/2", "b", "c/x/1", "c/y/1", "c/z", "ä/1"]);
    assert_eq!((all.key_count(), all.is_truncated()), (Some(9), Some(false)));
    assert_eq!(all.contents()[0].size(), Some(2));
    assert!(all.contents()[0].e_tag().is_some());

    let rolled = list().delimiter("/").send().await.unwrap();
    let keys: Vec<_> = rolled.contents().iter().map(|object| object.key().unwrap()).collect();
    let prefixes: Vec<_> = rolled.common_prefixes().iter().map(|p| p.prefix().unwrap()).collect();
    assert_eq!(keys, ["a", "a-b", "b"]);
    assert_eq!(prefixes, ["a/", "c/", "ä/"]);

    let under = list().prefix("c/").delimiter("/").send().await.unwrap();
    let prefixes: Vec<_> = under.common_prefixes().iter().map(|p| p.prefix().unwrap()).collect();
    assert_eq!(under.contents()[0].key(), Some("c/z"));
    assert_eq!(prefixes, ["c/x/", "c/y/"]);

    let after = list().start_after("b").send().await.unwrap();
    assert_eq!(after.contents()[0].key(), Some("c/x/1"));
}

#[tokio::test]
async fn pages_meet_without_gap_or_overlap() {
    let stack = Stack::start().await;
    for number in 0..7 {
        stack.put(&format!("dir{number}/x"), b"").await;
        stack.put(&format!("dir{number}/y"), b"").await;
        stack.put(&format!("file{number}"), b"").await;
    }
    let client = stack.client();
    for (delimiter, expected) in [(None, 21), (Some("/"), 14)] {
        for size in [1, 2, 3, 100] {
            let mut seen = Vec::new();
            let mut token = None;
            loop {
                let page = client
                    .list_objects_v2()
                    .bucket(BUCKET)
                    .set_delimiter(delimiter.map(str::to_owned))
                    .max_keys(size)
                    .set_continuation_token(token)
                    .send()
                    .await
                    .unwrap();
                let count = page.contents().len() + page.common_prefixes().len();
                assert!(count <= usize::try_from(size).unwrap());
                seen.extend(page.contents().iter().map(|o| o.key().unwrap().to_owned()));
                seen.extend(page.common_prefixes().iter().map(|p| p.prefix().unwrap().to_owned()));
                token = page.next_continuation_token().map(str::to_owned);
                assert_eq!(token.is_some(), page.is_truncated() == Some(true));
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len(), expected, "{delimiter:?}, {size} at once");
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), expected, "{delimiter:?}, {size} at once");
        }
    }
    let list = client.list_objects_v2().bucket(BUCKET);
    let none = list.clone().max_keys(0).send().await.unwrap();
    assert_eq!((none.key_count(), none.is_truncated()), (Some(0), Some(false)));
    assert_eq!(code(list.continuation_token("no token!").send().await), "InvalidArgument");
}
