//! The rules: what may become of an image.

use std::time::Duration;

use super::{
    BeingPurged, Change, Declared, Due, DueKind, Etag, Failure, Image, Lease, NewImage, NotClaimable,
    NotEditable, NotInTrash, NotProcessable, NotReplaceable, Original, Overdue, PROCESSING_GRACE,
    PURGE_RETRY, Picture, Replacement, State, Superseded, UPLOAD_WINDOW, Visibility,
};
use crate::domain::details::DetailsPatch;
use crate::domain::{EventKind, ImageId, ProjectId, Time, UploadId};

impl Image {
    /// Reserves an image for bytes that are still to come.
    pub fn reserve(id: ImageId, upload: UploadId, project: ProjectId, new: NewImage, now: Time) -> Change {
        let due = Due { at: now.after(UPLOAD_WINDOW + PROCESSING_GRACE), kind: DueKind::Upload };
        let image = Self {
            id,
            project,
            upload,
            declared: new.declared,
            visibility: new.visibility,
            owner: new.owner,
            upload_token: None,
            details: new.details,
            created_at: now,
            updated_at: now,
            version: 1,
            revision: 0,
            trace: None,
            due: Some(due),
            multipart: None,
            replacement: None,
            replacement_failure: None,
            superseded: vec![],
            worked_on_until: None,
            moving: false,
            doomed: vec![],
            state: State::Pending,
        };
        Change::new(image, Some(EventKind::Created))
    }

    /// Its entity tag.
    pub const fn etag(&self) -> Etag {
        Etag { version: self.version, revision: self.revision }
    }

    /// Rises with every change, and numbers the image's events.
    pub const fn sequence(&self) -> u64 {
        self.version + self.revision
    }

    /// The picture, if it can be served.
    pub const fn picture(&self) -> Option<&Picture> {
        match &self.state {
            State::Ready { picture } => Some(picture),
            State::Pending
            | State::Processing { .. }
            | State::Failed { .. }
            | State::Trashed { .. }
            | State::Purging { .. } => None,
        }
    }

    /// The picture whose original is stored, whether it can be served or not.
    pub const fn original(&self) -> Option<&Picture> {
        match &self.state {
            State::Ready { picture } => Some(picture),
            State::Trashed { picture, .. } | State::Purging { picture } => picture.as_ref(),
            State::Pending | State::Processing { .. } | State::Failed { .. } => None,
        }
    }

    /// Whether it is in lists and can be found by its tags.
    pub const fn is_live(&self) -> bool {
        match &self.state {
            State::Pending | State::Processing { .. } | State::Ready { .. } | State::Failed { .. } => true,
            State::Trashed { .. } | State::Purging { .. } => false,
        }
    }

    /// The originals that it refers to.
    pub fn originals(&self) -> impl Iterator<Item = &Original> {
        let superseded = self.superseded.iter().filter_map(|upload| upload.original.as_ref());
        superseded.chain(self.original().and_then(|picture| picture.original.as_ref()))
    }

    /// Reserves a place for new bytes. A picture that can be served is, until they are ready; where there is
    /// none, the image waits for these bytes instead.
    pub fn replace(&self, upload: UploadId, declared: Declared, now: Time) -> Result<Change, NotReplaceable> {
        let due_at = now.after(UPLOAD_WINDOW + PROCESSING_GRACE);
        match &self.state {
            State::Trashed { .. } => Err(NotReplaceable::Trashed),
            State::Purging { .. } => Err(NotReplaceable::BeingPurged),
            State::Pending | State::Processing { .. } => Err(NotReplaceable::Busy),
            State::Ready { .. } if self.replacement.is_some() => Err(NotReplaceable::Busy),
            State::Ready { .. } => {
                let replacement = Replacement { upload, declared, again: false, lease: None, due_at };
                let edited = self.edited(now, self.state.clone(), None, EventKind::Replacing);
                let image =
                    Self { replacement: Some(replacement), replacement_failure: None, ..edited.image };
                Ok(Change { image: image.due_again(now), ..edited })
            }
            State::Failed { .. } => {
                let due = Due { at: due_at, kind: DueKind::Upload };
                let edited = self.edited(now, State::Pending, Some(due), EventKind::Replacing);
                Ok(Change { image: Self { upload, declared, ..edited.image }, ..edited })
            }
        }
    }

    /// Has the variants rendered anew, from the original: an upload of what is there already. Under a path there
    /// is one picture for ever, so the new ones get paths of their own.
    ///
    /// `None` if the upload has only to be announced again: one whose processing was cut short, or one like this that
    /// nobody works on.
    pub fn process_again(&self, upload: UploadId, now: Time) -> Result<Option<Change>, NotProcessable> {
        let picture = match &self.state {
            State::Failed { failure } if failure.retryable => return Ok(None),
            State::Failed { .. } => return Err(NotProcessable::Failed),
            State::Ready { .. }
                if self.replacement.as_ref().is_some_and(|new| new.again && new.lease.is_none()) =>
            {
                return Ok(None);
            }
            State::Ready { picture } => Some(picture),
            State::Pending | State::Processing { .. } | State::Trashed { .. } | State::Purging { .. } => None,
        };
        let declared = picture.map_or_else(
            || self.declared.clone(),
            |picture| Declared {
                content_type: picture.content_type.clone(),
                bytes: picture.original.as_ref().map_or(picture.bytes, |original| original.bytes),
            },
        );
        let change = self.replace(upload, declared, now).map_err(NotProcessable::NotReplaceable)?;
        let replacement = change.image.replacement.clone().map(|new| Replacement { again: true, ..new });
        Ok(Some(Change { image: Self { replacement, ..change.image }, ..change }))
    }

    /// The image as somebody who works on this upload sees it: with its id, and what was declared for it.
    #[must_use]
    pub fn with_upload_under_way(&self) -> Self {
        let Some(Replacement { upload, declared, .. }) = self.replacement.clone() else {
            return self.clone();
        };
        Self { upload, declared, ..self.clone() }
    }

    /// Takes an upload to work on.
    ///
    /// S3 may announce an upload twice, and a worker may die: so a settled image needs nothing, a live
    /// lease keeps others away, and an expired one is taken over.
    pub fn claim(&self, upload: UploadId, lease: Lease, now: Time) -> Result<Change, NotClaimable> {
        // A claim whose answer was lost is made again by the same owner.
        let taken = |held: &Lease| now < held.until && held.owner != lease.owner;
        match (&self.state, &self.replacement) {
            (State::Ready { .. }, Some(replacement)) if replacement.upload == upload => {
                if replacement.lease.as_ref().is_some_and(taken) {
                    return Err(NotClaimable::Leased);
                }
                let due_at = replacement.due_at.max(lease.until.after(PROCESSING_GRACE));
                let replacement = Replacement { lease: Some(lease), due_at, ..replacement.clone() };
                let revised = self.revised(now, self.state.clone(), None, None);
                let image = Self { replacement: Some(replacement), ..revised.image };
                Ok(Change { image: image.due_again(now), ..revised })
            }
            _ if upload != self.upload => Err(NotClaimable::Settled),
            (State::Processing { lease: held }, _) if taken(held) => Err(NotClaimable::Leased),
            (State::Failed { failure }, _) if !failure.retryable => Err(NotClaimable::Settled),
            (State::Trashed { picture: None, failure, .. }, _)
                if failure.as_ref().is_none_or(|failure| failure.retryable) =>
            {
                Err(NotClaimable::Trashed)
            }
            (State::Ready { .. } | State::Trashed { .. } | State::Purging { .. }, _) => {
                Err(NotClaimable::Settled)
            }
            (State::Pending | State::Processing { .. } | State::Failed { .. }, _) => {
                // The timer must not come while the lease lasts. It rarely would: moving it costs a
                // transaction where leaving it is one plain write.
                let due = self.due.filter(|due| lease.until <= due.at).unwrap_or_else(|| Due {
                    at: lease.until.after(PROCESSING_GRACE),
                    kind: DueKind::Upload,
                });
                Ok(self.revised(now, State::Processing { lease }, Some(due), None))
            }
        }
    }

    /// Whether `owner` still has the lease that it claimed.
    pub fn is_leased_to(&self, owner: &str) -> bool {
        self.lease().is_some_and(|lease| lease.owner == owner)
    }

    fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Processing { lease } => Some(lease),
            State::Ready { .. } => {
                self.replacement.as_ref().and_then(|replacement| replacement.lease.as_ref())
            }
            State::Pending | State::Failed { .. } | State::Trashed { .. } | State::Purging { .. } => None,
        }
    }

    /// The worker is done, and the picture can be served: the image's first, or one in the place of another.
    pub fn become_ready(&self, picture: Picture, now: Time) -> Change {
        let (State::Ready { picture: old }, Some(replacement)) = (&self.state, &self.replacement) else {
            let revised = self.revised(now, State::Ready { picture }, None, Some(EventKind::Ready));
            return Change { image: revised.image.due_again(now), ..revised };
        };
        // The original does not say what was taken from it when it came.
        let picture = if replacement.again {
            let (sha256, capture, reencoded) = (old.sha256.clone(), old.capture.clone(), old.reencoded);
            Picture { sha256, reencoded, capture, ..picture }
        } else {
            picture
        };
        let mut superseded = self.superseded.clone();
        superseded.push(Superseded { upload: self.upload, original: old.original.clone() });
        let revised = self.revised(now, State::Ready { picture }, None, Some(EventKind::Replaced));
        let image = Self {
            upload: replacement.upload,
            declared: replacement.declared.clone(),
            replacement: None,
            replacement_failure: None,
            superseded,
            ..revised.image
        };
        Change { image: image.due_again(now), ..revised }
    }

    /// The upload cannot be used. A picture that it should have replaced stays.
    pub fn fail(&self, failure: Failure, now: Time) -> Change {
        if let (State::Ready { .. }, Some(_)) = (&self.state, &self.replacement) {
            let event = Some(EventKind::ReplacementFailed);
            let revised = self.revised(now, self.state.clone(), None, event);
            let image = Self { replacement: None, replacement_failure: Some(failure), ..revised.image };
            return Change { image: image.due_again(now), ..revised };
        }
        let revised = self.revised(now, State::Failed { failure }, None, Some(EventKind::Failed));
        Change { image: revised.image.due_again(now), ..revised }
    }

    /// Nobody refers to these originals through this image any more; those keys are to be deleted.
    pub fn give_up_originals(&self, doomed: Vec<String>, now: Time) -> Change {
        let state = match self.state.clone() {
            State::Purging { picture } => {
                State::Purging { picture: picture.map(|picture| Picture { original: None, ..picture }) }
            }
            state @ (State::Pending
            | State::Processing { .. }
            | State::Ready { .. }
            | State::Failed { .. }
            | State::Trashed { .. }) => state,
        };
        let superseded = self.superseded.iter().map(|old| Superseded { upload: old.upload, original: None });
        let revised = self.revised(now, state, self.due, None);
        let image = Self {
            superseded: superseded.collect(),
            doomed: self.doomed.iter().cloned().chain(doomed).collect(),
            ..revised.image
        };
        Change { image, ..revised }
    }

    /// The bytes of these uploads and the doomed originals are gone.
    pub fn forget_superseded(&self, erased: &[UploadId], doomed: &[String], now: Time) -> Change {
        let revised = self.revised(now, self.state.clone(), self.due, None);
        let image = Self {
            superseded: self.superseded.iter().filter(|old| !erased.contains(&old.upload)).cloned().collect(),
            doomed: self.doomed.iter().filter(|key| !doomed.contains(key)).cloned().collect(),
            ..revised.image
        };
        let image = if self.is_live() { image.due_again(now) } else { image };
        Change { image, ..revised }
    }

    /// Puts the image into the trash, where it stays for `retention`. `None` if it is there already.
    pub fn trash(&self, retention: Duration, now: Time) -> Result<Option<Change>, BeingPurged> {
        let (picture, failure) = match &self.state {
            State::Trashed { .. } => return Ok(None),
            State::Purging { .. } => return Err(BeingPurged),
            State::Pending | State::Processing { .. } => (None, None),
            State::Ready { picture } => (Some(picture.clone()), None),
            State::Failed { failure } => (None, Some(failure.clone())),
        };
        let state = State::Trashed { trashed_at: now, picture, failure };
        let due = Due { at: now.after(retention), kind: DueKind::Purge };
        let edited = self.edited(now, state, Some(due), EventKind::Trashed);
        // New bytes that are under way are not wanted any more.
        let image = Self {
            replacement: None,
            worked_on_until: self.lease().map(|lease| lease.until).or(self.worked_on_until),
            ..edited.image
        };
        Ok(Some(Change { image: image.moved_from(self), ..edited }))
    }

    /// Brings the image back from the trash as it was. `None` if it is not there.
    ///
    /// One that was trashed before its bytes were processed waits for them again. If they are there already, they have
    /// to be announced once more.
    pub fn restore(&self, now: Time) -> Result<Option<Change>, BeingPurged> {
        let (state, due) = match &self.state {
            State::Purging { .. } => return Err(BeingPurged),
            State::Pending | State::Processing { .. } | State::Ready { .. } | State::Failed { .. } => {
                return Ok(None);
            }
            State::Trashed { picture: Some(picture), .. } => {
                (State::Ready { picture: picture.clone() }, None)
            }
            State::Trashed { failure: Some(failure), .. } => {
                (State::Failed { failure: failure.clone() }, None)
            }
            State::Trashed { picture: None, failure: None, .. } => {
                (State::Pending, Some(Due { at: now.after(PROCESSING_GRACE), kind: DueKind::Upload }))
            }
        };
        let edited = self.edited(now, state, due, EventKind::Restored);
        let image = edited.image.moved_from(self);
        let image = if due.is_none() { image.due_again(now) } else { image };
        Ok(Some(Change { image, ..edited }))
    }

    /// Gives the order to delete the image for good, before its time in the trash is up. `None` if that was given
    /// already.
    pub fn purge(&self, now: Time) -> Result<Option<Change>, NotInTrash> {
        match &self.state {
            State::Purging { .. } => return Ok(None),
            State::Trashed { .. } => {}
            State::Pending | State::Processing { .. } | State::Ready { .. } | State::Failed { .. } => {
                return Err(NotInTrash);
            }
        }
        let due = Due { at: now.after(PURGE_RETRY), kind: DueKind::Purge };
        let state = State::Purging { picture: self.original().cloned() };
        let edited = self.edited(now, state, Some(due), EventKind::Purging);
        Ok(Some(Change { image: Self { replacement: None, ..edited.image }, ..edited }))
    }

    /// Says something else of the image. `None` if it is what was said before.
    pub fn edit(
        &self, patch: &DetailsPatch, visibility: Option<Visibility>, now: Time,
    ) -> Result<Option<Change>, NotEditable> {
        if matches!(self.state, State::Purging { .. }) {
            return Err(NotEditable::BeingPurged);
        }
        let details = self.details.patched(patch).map_err(NotEditable::Unfit)?;
        let visibility = visibility.unwrap_or(self.visibility);
        if details == self.details && visibility == self.visibility {
            return Ok(None);
        }
        let edited = self.edited(now, self.state.clone(), self.due, EventKind::Updated);
        let image = Self { visibility, details, ..edited.image };
        if visibility == self.visibility {
            return Ok(Some(Change { image, ..edited }));
        }
        let image = image.moved_from(self);
        let settled = matches!(image.state, State::Ready { .. } | State::Failed { .. });
        let image = if settled { image.due_again(now) } else { image };
        Ok(Some(Change { image, ..edited }))
    }

    /// The variants are where they belong. `None` as long as a worker may store more of them where it saw that
    /// they belong when it began: what comes of its work gives the order again.
    pub fn moved(&self, now: Time) -> Option<Change> {
        let working = match &self.state {
            State::Processing { .. } => true,
            State::Trashed { picture, failure, .. } => picture.is_none() && failure.is_none(),
            State::Ready { .. } => self.replacement.as_ref().is_some_and(|new| new.lease.is_some()),
            State::Pending | State::Failed { .. } | State::Purging { .. } => false,
        };
        if working || !self.moving {
            return None;
        }
        let revised = self.revised(now, self.state.clone(), self.due, None);
        let image = Self { moving: false, ..revised.image };
        let settled = matches!(image.state, State::Ready { .. } | State::Failed { .. });
        let image = if settled { image.due_again(now) } else { image };
        Some(Change { image, ..revised })
    }

    /// What has to be done about an image that fell due.
    pub fn overdue(&self, now: Time) -> Overdue {
        if self.due.is_none_or(|due| now < due.at) {
            return Overdue::Nothing;
        }
        let change = match &self.state {
            State::Pending => self.fail(
                Failure {
                    code: "upload-missing".into(),
                    detail: "No bytes arrived in time. Reserve a new upload and send them again.".into(),
                    // The event may be late: the bytes lie in the bucket for a day.
                    retryable: true,
                },
                now,
            ),
            State::Processing { .. } => self.fail(
                Failure {
                    code: "processing-interrupted".into(),
                    detail: "The upload could not be processed for now. It will be tried again, or send \
                             the picture once more."
                        .into(),
                    retryable: true,
                },
                now,
            ),
            State::Trashed { .. } | State::Purging { .. } => {
                let due = Due { at: now.after(PURGE_RETRY), kind: DueKind::Purge };
                let state = State::Purging { picture: self.original().cloned() };
                self.revised(now, state, Some(due), Some(EventKind::Purging))
            }
            State::Ready { .. } if self.replacement.as_ref().is_some_and(|new| new.due_at <= now) => self
                .fail(
                    Failure {
                        code: "upload-missing".into(),
                        detail:
                            "The new bytes were not processed in time. Reserve an upload and send them again."
                                .into(),
                        retryable: false,
                    },
                    now,
                ),
            State::Ready { .. } | State::Failed { .. } if self.is_untidy() => {
                // Nobody carried out the order that came with the change: it is given again.
                let replaced = !self.superseded.is_empty() || !self.doomed.is_empty();
                let event = if replaced { EventKind::Replaced } else { EventKind::Updated };
                let revised = self.revised(now, self.state.clone(), None, Some(event));
                Change { image: revised.image.due_again(now), ..revised }
            }
            State::Ready { .. } | State::Failed { .. } => return Overdue::Nothing,
        };
        Overdue::Change(Box::new(change))
    }

    /// With the order to carry variants over, if they belong elsewhere than they did. There may be some, or a worker
    /// that is about to store some where it saw that they belong.
    #[must_use]
    fn moved_from(self, before: &Self) -> Self {
        let moving = self.moving || self.shown_to() != before.shown_to();
        Self { moving, ..self }
    }

    /// Whether objects are not where they belong.
    const fn is_untidy(&self) -> bool {
        !self.superseded.is_empty() || !self.doomed.is_empty() || self.moving
    }

    /// When a timer has to look at a settled image: for new bytes that are under way, or old ones that are to
    /// be erased.
    #[must_use]
    fn due_again(self, now: Time) -> Self {
        let upload = self.replacement.as_ref().map(|new| Due { at: new.due_at, kind: DueKind::Upload });
        let erase = self.is_untidy().then(|| Due { at: now.after(PURGE_RETRY), kind: DueKind::Erase });
        let due = [upload, erase].into_iter().flatten().min_by_key(|due| due.at);
        Self { due, ..self }
    }

    fn revised(&self, now: Time, state: State, due: Option<Due>, event: Option<EventKind>) -> Change {
        let image = Self { revision: self.revision + 1, updated_at: now, due, state, ..self.clone() };
        Change::new(image, event)
    }

    fn edited(&self, now: Time, state: State, due: Option<Due>, event: EventKind) -> Change {
        let image = Self { version: self.version + 1, updated_at: now, due, state, ..self.clone() };
        Change::new(image, Some(event))
    }
}
