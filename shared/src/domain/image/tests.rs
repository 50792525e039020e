//! The state machine, one rule at a time and under any order of commands.

use super::*;
use crate::domain::details::DetailsPatch;
use proptest::prelude::*;
use ulid::Ulid;

fn at(secs: i64) -> Time {
    Time::from_secs(secs)
}

fn reserved() -> Image {
    let new = NewImage {
        declared: Declared { content_type: "image/jpeg".into(), bytes: 10 },
        visibility: Visibility::Private,
        owner: None,
        details: Details::default(),
    };
    let (id, upload) = (ImageId::new(Ulid(1)), UploadId::new(Ulid(2)));
    Image::reserve(id, upload, ProjectId::new(Ulid(3)), new, at(0)).image
}

fn lease(owner: &str, until: i64) -> Lease {
    Lease { owner: owner.into(), until: at(until) }
}

fn picture() -> Picture {
    Picture {
        content_type: "image/jpeg".into(),
        extension: "jpg".into(),
        width: 1,
        height: 1,
        frames: 1,
        bytes: 1,
        sha256: String::new(),
        thumbhash: String::new(),
        dominant_color: "#000000".into(),
        variants: vec![],
        ..Picture::default()
    }
}

#[test]
fn a_live_lease_keeps_others_away_and_a_dead_one_does_not() {
    let image = reserved();
    let claimed = image.claim(image.upload, lease("a", 60), at(1)).unwrap().image;
    assert_eq!(claimed.claim(image.upload, lease("b", 90), at(59)), Err(NotClaimable::Leased));
    let taken = claimed.claim(image.upload, lease("b", 120), at(60)).unwrap().image;
    assert!(taken.is_leased_to("b") && !taken.is_leased_to("a"));
}

#[test]
fn an_owner_whose_claim_was_written_but_not_answered_claims_again() {
    let image = reserved();
    let claimed = image.claim(image.upload, lease("a", 60), at(1)).unwrap().image;
    assert!(claimed.claim(image.upload, lease("a", 60), at(2)).is_ok());
}

#[test]
fn a_settled_image_is_not_processed_again() {
    let image = reserved();
    let ready = image.become_ready(picture(), at(2)).image;
    assert_eq!(ready.claim(image.upload, lease("a", 60), at(3)), Err(NotClaimable::Settled));
    assert_eq!(
        image.claim(UploadId::new(Ulid(9)), lease("a", 60), at(3)),
        Err(NotClaimable::Settled),
        "another upload's bytes are not this image's"
    );
}

#[test]
fn bytes_that_arrive_after_the_timer_are_still_taken() {
    let image = reserved();
    let Overdue::Change(missing) = image.overdue(at(7200)) else { panic!("it is overdue") };
    assert_eq!(missing.image.state.name(), "failed");
    assert!(missing.image.claim(image.upload, lease("a", 9000), at(8000)).is_ok());
}

#[test]
fn a_worker_that_died_leaves_an_image_that_the_timer_settles() {
    let image = reserved();
    let claimed = image.claim(image.upload, lease("a", 60), at(1)).unwrap().image;
    assert_eq!(claimed.overdue(at(59)), Overdue::Nothing);
    let due = claimed.due.unwrap().at;
    let Overdue::Change(change) = claimed.overdue(due) else { panic!("it is overdue") };
    assert_eq!(change.image.state.name(), "failed");
}

#[test]
fn the_trash_is_emptied_when_its_time_is_up_and_the_order_is_repeated() {
    let image = reserved();
    let trashed = image.trash(Duration::from_secs(100), at(10)).unwrap().unwrap().image;
    assert_eq!(trashed.trash(Duration::from_secs(100), at(11)), Ok(None));
    assert_eq!(trashed.overdue(at(109)), Overdue::Nothing);
    let Overdue::Change(purging) = trashed.overdue(at(110)) else { panic!("it is overdue") };
    assert_eq!(purging.event, Some(EventKind::Purging));
    assert_eq!(purging.image.trash(Duration::ZERO, at(111)), Err(BeingPurged));
    let Overdue::Change(again) = purging.image.overdue(at(110 + 3600)) else { panic!("it is overdue") };
    assert_eq!(again.event, Some(EventKind::Purging));
}

#[derive(Debug, Clone)]
enum Command {
    Claim(u8),
    Ready,
    Fail,
    Trash,
    Restore,
    Replace,
    Erased,
    Timer,
}

fn command() -> impl Strategy<Value = (Command, i64)> {
    let kind = prop_oneof![
        (0..3_u8).prop_map(Command::Claim),
        Just(Command::Ready),
        Just(Command::Fail),
        Just(Command::Trash),
        Just(Command::Restore),
        Just(Command::Replace),
        Just(Command::Erased),
        Just(Command::Timer),
    ];
    (kind, 0..9000_i64)
}

proptest! {
    /// Duplicated, late and reordered commands never lose an image: until it is settled, a timer
    /// has it on its list; and its sequence rises by one with every change.
    #[test]
    fn an_unsettled_image_is_always_due(commands in prop::collection::vec(command(), 0..40)) {
        let (mut image, mut now, mut uploads) = (reserved(), 0, 100);
        for (command, step) in commands {
            now += step;
            let under_way = image.with_upload_under_way().upload;
            let change = match command {
                Command::Claim(owner) =>
                    image.claim(under_way, lease(&owner.to_string(), now + 60), at(now)).ok(),
                Command::Ready if image.is_leased_to("0") => Some(image.become_ready(picture(), at(now))),
                Command::Fail if image.is_leased_to("1") => Some(image.fail(
                    Failure { code: "x".into(), detail: String::new(), retryable: false }, at(now))),
                Command::Ready | Command::Fail => None,
                Command::Trash => image.trash(Duration::from_secs(50), at(now)).ok().flatten(),
                Command::Restore => image.restore(at(now)).ok().flatten(),
                Command::Replace => {
                    uploads += 1;
                    let declared = Declared { content_type: "image/png".into(), bytes: 7 };
                    image.replace(UploadId::new(Ulid(uploads)), declared, at(now)).ok()
                }
                Command::Erased if image.superseded.is_empty() || !image.is_live() => None,
                Command::Erased => {
                    let erased: Vec<_> = image.superseded.iter().map(|old| old.upload).collect();
                    Some(image.forget_superseded(&erased, &[], at(now)))
                }
                Command::Timer => match image.overdue(at(now)) {
                    Overdue::Change(change) => Some(*change),
                    Overdue::Nothing => None,
                },
            };
            if let Some(change) = change {
                prop_assert_eq!(change.image.sequence(), image.sequence() + 1);
                image = change.image;
            }
            let settled = matches!(image.state, State::Ready { .. } | State::Failed { .. })
                && image.replacement.is_none() && image.superseded.is_empty();
            prop_assert_eq!(image.due.is_some(), !settled);
            prop_assert!(image.replacement.is_none() || image.picture().is_some());
            // What is served and what was replaced are never the same upload.
            prop_assert!(image.superseded.iter().all(|old| old.upload != image.upload));
        }
    }

    /// Whatever order the timer comes in, an image that nobody touches ends up settled or purging.
    #[test]
    fn the_timer_settles_everything(claimed: bool, trashed: bool) {
        let mut image = reserved();
        if claimed { image = image.claim(image.upload, lease("a", 60), at(1)).unwrap().image; }
        if trashed { image = image.trash(Duration::from_secs(9), at(2)).unwrap().unwrap().image; }
        let due = image.due.unwrap().at;
        let Overdue::Change(change) = image.overdue(due) else { panic!("it is due") };
        let settled = matches!(change.image.state, State::Failed { .. } | State::Purging { .. });
        prop_assert!(settled);
    }
}

#[test]
fn a_move_that_nobody_carried_out_is_ordered_again() {
    let ready = reserved().become_ready(picture(), at(2)).image;
    let hidden =
        ready.edit(&DetailsPatch::default(), Some(Visibility::Public), at(3)).unwrap().unwrap().image;
    let due = hidden.due.expect("a timer minds it");
    assert_eq!(hidden.overdue(at(4)), Overdue::Nothing);
    let Overdue::Change(again) = hidden.overdue(due.at) else { panic!("the order is given again") };
    assert_eq!((again.event, again.image.moving), (Some(EventKind::Updated), true));
    assert!(again.image.due.is_some_and(|next| due.at < next.at));
    let moved = again.image.moved(due.at).expect("nobody works on it").image;
    assert_eq!((moved.moving, moved.due), (false, None));
    assert_eq!(moved.moved(due.at), None);
}

#[test]
fn what_is_in_the_trash_is_to_be_seen_by_nobody_and_keeps_its_day() {
    let public = Image { visibility: Visibility::Public, ..reserved().become_ready(picture(), at(2)).image };
    let trashed = public.trash(Duration::from_secs(50), at(3)).unwrap().unwrap().image;
    assert_eq!((trashed.shown_to(), trashed.moving), (Visibility::Private, true));
    let moved = trashed.moved(at(4)).unwrap().image;
    assert_eq!((moved.moving, moved.due), (false, trashed.due));
    let hidden =
        moved.edit(&DetailsPatch::default(), Some(Visibility::Private), at(5)).unwrap().unwrap().image;
    assert_eq!((hidden.moving, hidden.due), (false, trashed.due), "it is hidden already");

    let restored = moved.restore(at(6)).unwrap().unwrap().image;
    assert_eq!((restored.shown_to(), restored.moving), (Visibility::Public, true));
    assert_eq!(restored.due.map(|due| due.kind), Some(DueKind::Erase), "a timer sees to it");
    assert!(!hidden.restore(at(6)).unwrap().unwrap().image.moving);
}

#[test]
fn an_upload_that_comes_while_its_image_is_in_the_trash_is_kept_for_its_return() {
    let image = reserved();
    let claimed = image.claim(image.upload, lease("a", 60), at(1)).unwrap().image;
    for before in [image.clone(), claimed] {
        let trashed = before.trash(Duration::from_secs(50), at(3)).unwrap().unwrap().image;
        assert_eq!(trashed.claim(image.upload, lease("b", 60), at(4)), Err(NotClaimable::Trashed));
        let other = UploadId::new(Ulid(77));
        assert_eq!(trashed.claim(other, lease("b", 60), at(4)), Err(NotClaimable::Settled));
    }
    let ready = image.become_ready(picture(), at(2)).image;
    let trashed = ready.trash(Duration::from_secs(50), at(3)).unwrap().unwrap().image;
    assert_eq!(trashed.claim(image.upload, lease("b", 60), at(4)), Err(NotClaimable::Settled));
}

#[test]
fn a_trashed_image_knows_until_when_somebody_may_work_on_it() {
    let claimed = reserved().claim(reserved().upload, lease("a", 60), at(1)).unwrap().image;
    let trashed = claimed.trash(Duration::from_secs(50), at(3)).unwrap().unwrap().image;
    let purging = trashed.purge(at(4)).unwrap().unwrap().image;
    assert_eq!(purging.worked_on_until, Some(at(60)));
    let restored = trashed.restore(at(4)).unwrap().unwrap().image;
    let again = restored.trash(Duration::from_secs(50), at(5)).unwrap().unwrap().image;
    assert_eq!(again.worked_on_until, Some(at(60)), "nobody has told the worker");
    let idle = reserved().trash(Duration::from_secs(50), at(3)).unwrap().unwrap().image;
    assert_eq!(idle.worked_on_until, None);
}

#[test]
fn rendering_anew_is_asked_for_again_until_somebody_works_on_it() {
    let ready = reserved().become_ready(picture(), at(2)).image;
    let upload = UploadId::new(Ulid(77));
    let again = ready.process_again(upload, at(3)).unwrap().unwrap().image;
    assert_eq!(again.process_again(UploadId::new(Ulid(78)), at(4)), Ok(None), "the copy may have failed");
    let claimed = again.claim(upload, lease("a", 60), at(5)).unwrap().image;
    let busy = Err(NotProcessable::NotReplaceable(NotReplaceable::Busy));
    assert_eq!(claimed.process_again(UploadId::new(Ulid(78)), at(6)), busy);
}

#[test]
fn no_bytes_are_taken_for_an_image_that_failed() {
    let image = reserved();
    assert!(image.takes(image.upload) && !image.takes(UploadId::new(Ulid(77))));
    let Overdue::Change(failed) = image.overdue(image.due.unwrap().at) else { panic!("it is overdue") };
    assert!(!failed.image.takes(image.upload), "nothing is reserved for them any more");
}

#[test]
fn only_what_is_in_the_trash_is_deleted_for_good_and_then_nothing_is_said_of_it() {
    let ready = reserved().become_ready(picture(), at(2)).image;
    for image in [reserved(), ready.clone()] {
        assert_eq!(image.purge(at(3)), Err(NotInTrash));
    }
    let trashed = ready.trash(Duration::from_secs(50), at(3)).unwrap().unwrap().image;
    let purging = trashed.purge(at(4)).unwrap().unwrap().image;
    assert_eq!(purging.purge(at(5)), Ok(None));
    let edited = purging.edit(&DetailsPatch::default(), Some(Visibility::Public), at(5));
    assert_eq!(edited, Err(NotEditable::BeingPurged));
}
