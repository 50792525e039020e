//! `template.yaml` in, a [`Deployment`](model::Deployment) out.

pub mod model;
