//! A table with one image in it, as the tests of what changes an image need it.

#![allow(dead_code, reason = "each endpoint's tests use a part of it")]

use std::sync::Mutex;

use serde_json::Value;
use shared::domain::details::Details;
use shared::domain::error::{CommitError, FindImageError};
use shared::domain::idempotency::{Attempt, Record};
use shared::domain::image::{Change, Declared, Image, NewImage, State};
use shared::domain::{
    Clock, EventId, ImageId, Project, ProjectId, Secret, Time, Unavailable, UploadId, Visibility,
};
use shared::store::{CommitImage, FindImage, FindProject, RecallAttempt, RecordAttempt};

pub struct Table {
    pub image: Mutex<Image>,
    pub written: Mutex<Vec<Change>>,
    /// How many uploads were given to the workers once more.
    pub announced: Mutex<usize>,
    records: Mutex<Vec<Record>>,
}

impl Table {
    pub fn with(image: Image) -> Self {
        Self {
            image: Mutex::new(image),
            written: Mutex::default(),
            announced: Mutex::default(),
            records: Mutex::default(),
        }
    }
}

/// Anna's image that an event is about, at version 1.
pub fn image_of(event: &Value, state: State) -> Image {
    let project = &event["requestContext"]["authorizer"]["lambda"]["project"];
    let project = serde_json::from_value(project.clone()).unwrap();
    let id = serde_json::from_value(event["pathParameters"]["image"].clone()).unwrap();
    let declared = Declared { content_type: "image/jpeg".into(), bytes: 9 };
    let details = Details { title: Some("Harbour".parse().unwrap()), ..Details::default() };
    let owner = Some("anna".parse().unwrap());
    let new = NewImage { declared, visibility: Visibility::Private, owner, details };
    let image = Image::reserve(id, UploadId::new(2.into()), project, new, Time::from_secs(0)).image;
    Image { state, revision: 2, due: None, ..image }
}

impl FindImage for Table {
    async fn find_image(&self, project: ProjectId, id: ImageId) -> Result<Image, FindImageError> {
        let image = self.image.lock().unwrap().clone();
        if (image.project, image.id) == (project, id) { Ok(image) } else { Err(FindImageError::NotFound) }
    }
}

impl CommitImage for Table {
    async fn commit_image(
        &self, before: Option<&Image>, change: &Change, _: EventId,
    ) -> Result<(), CommitError> {
        let mut image = self.image.lock().unwrap();
        if let Some(record) = &change.once {
            let mut records = self.records.lock().unwrap();
            if let Some(known) = records.iter().find(|known| known.attempt.key == record.attempt.key) {
                return Err(CommitError::Repeated(Box::new(known.clone())));
            }
            records.push(record.clone());
        }
        assert_eq!(before, Some(&*image));
        *image = change.image.clone();
        self.written.lock().unwrap().push(change.clone());
        Ok(())
    }
}

impl RecallAttempt for Table {
    async fn recall_attempt(&self, attempt: &Attempt, _: Time) -> Result<Option<Record>, Unavailable> {
        let records = self.records.lock().unwrap();
        Ok(records.iter().find(|record| record.attempt.key == attempt.key).cloned())
    }
}

impl RecordAttempt for Table {
    async fn record_attempt(&self, record: &Record, now: Time) -> Result<Option<Record>, Unavailable> {
        let known = self.recall_attempt(&record.attempt, now).await?;
        if known.is_none() {
            self.records.lock().unwrap().push(record.clone());
        }
        Ok(known)
    }
}

impl FindProject for Table {
    async fn find_project(&self, id: ProjectId, _: Time) -> Result<Option<Project>, Unavailable> {
        let signing_keys = vec![Secret::new([1; 32])];
        Ok(Some(Project::new(id, "Harbour".into(), signing_keys, Time::from_secs(0))))
    }
}

pub struct At(pub Time);

impl Clock for At {
    fn now(&self) -> Time {
        self.0
    }
}
