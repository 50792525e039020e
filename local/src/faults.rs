//! Failures on purpose, so that what only happens in production can happen in a test: throttled and
//! failing services, queue messages that come twice, and queue messages that overtake each other.
//!
//! The random numbers are seeded: the same requests in the same order meet the same faults.

use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// An emulated service that can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `dynamodb`
    DynamoDb,
    /// `s3`
    S3,
    /// `sqs`
    Sqs,
}

/// How a request fails: before it has done anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `throttle`: the service asks the client to slow down.
    Throttle,
    /// `error`: the service answers with an internal error.
    Error,
}

/// How often a service fails in one way, written `dynamodb=throttle:5%`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaultRate {
    /// Who fails.
    pub service: Service,
    /// How.
    pub fault: Fault,
    /// The share of requests that fail, from 0 to 1.
    pub share: f64,
}

/// A `--fault` that says something else than `service=kind:percent%`.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a fault: write service=kind:percent%, with dynamodb, s3 or sqs for the service and \
     throttle or error for the kind, such as dynamodb=throttle:5%"
)]
pub struct ParseFaultError(String);

impl FromStr for FaultRate {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseFaultError(text.to_owned());
        let (service, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (fault, percent) = rest.split_once(':').ok_or_else(wrong)?;
        let service = match service {
            "dynamodb" => Service::DynamoDb,
            "s3" => Service::S3,
            "sqs" => Service::Sqs,
            _ => return Err(wrong()),
        };
        let fault = match fault {
            "throttle" => Fault::Throttle,
            "error" => Fault::Error,
            _ => return Err(wrong()),
        };
        let percent: f64 = percent.strip_suffix('%').ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(wrong());
        }
        Ok(Self { service, fault, share: percent / 100.0 })
    }
}

/// What the emulated services do wrong. Clones share their state, so a test can change the rates of
/// a running stack; by default nothing goes wrong.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: StdRng,
    rates: Vec<FaultRate>,
    duplicate: bool,
    reorder: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Faults {
    /// No faults yet; those that are set later follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: StdRng::seed_from_u64(seed),
            rates: Vec::new(),
            duplicate: false,
            reorder: false,
        })))
    }

    /// Sets how often a service fails in one way; a share of zero ends it.
    pub fn set(&self, rate: FaultRate) {
        let mut state = self.state();
        state.rates.retain(|r| (r.service, r.fault) != (rate.service, rate.fault));
        state.rates.push(rate);
    }

    /// Whether each queue message is delivered once more after it was deleted.
    pub fn set_duplicate(&self, on: bool) {
        self.state().duplicate = on;
    }

    /// Whether queue messages are received in random order.
    pub fn set_reorder(&self, on: bool) {
        self.state().reorder = on;
    }

    /// Decides whether the request at hand fails. Called once a request, before it is looked at.
    pub fn strike(&self, service: Service) -> Option<Fault> {
        let mut state = self.state();
        let State { random, rates, .. } = &mut *state;
        let mut of_service = rates.iter().filter(|r| r.service == service).peekable();
        of_service.peek()?;
        let mut draw = random.random::<f64>();
        for rate in of_service {
            if draw < rate.share {
                return Some(rate.fault);
            }
            draw -= rate.share;
        }
        None
    }

    /// Whether deleted messages come back once.
    pub(crate) fn duplicates(&self) -> bool {
        self.state().duplicate
    }

    /// Whether messages overtake each other.
    pub(crate) fn reorders(&self) -> bool {
        self.state().reorder
    }

    /// Puts what is about to be received in random order.
    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        items.shuffle(&mut self.state().random);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Plain values: a panic elsewhere cannot leave them half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(faults: &Faults, service: Service) -> Vec<Option<Fault>> {
        (0..1000).map(|_| faults.strike(service)).collect()
    }

    #[test]
    fn a_rate_is_read_as_documented_and_anything_else_is_explained() {
        let rate: FaultRate = "sqs=error:12.5%".parse().unwrap();
        assert_eq!(rate, FaultRate { service: Service::Sqs, fault: Fault::Error, share: 0.125 });
        for wrong in [
            "",
            "sqs",
            "sqs=error",
            "sqs=error:5",
            "sqs=error:101%",
            "sqs=error:NaN%",
            "sqs=slow:5%",
            "sns=error:5%",
            "sqs=error:-1%",
        ] {
            let error = wrong.parse::<FaultRate>().unwrap_err().to_string();
            assert!(error.contains("dynamodb=throttle:5%"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_same_seed_strikes_the_same_requests() {
        let run = || {
            let faults = Faults::new(7);
            faults.set("dynamodb=throttle:10%".parse().unwrap());
            faults.set("dynamodb=error:10%".parse().unwrap());
            strikes(&faults, Service::DynamoDb)
        };
        let first = run();
        assert_eq!(first, run());
        for fault in [Fault::Throttle, Fault::Error] {
            let hits = first.iter().filter(|f| **f == Some(fault)).count();
            assert!((60..140).contains(&hits), "{fault:?} struck {hits} of 1000");
        }
    }

    #[test]
    fn a_rate_holds_for_its_service_until_it_is_set_to_zero() {
        let faults = Faults::default();
        let running = faults.clone();
        faults.set("s3=throttle:100%".parse().unwrap());
        assert!(strikes(&running, Service::S3).iter().all(|f| *f == Some(Fault::Throttle)));
        assert!(strikes(&running, Service::Sqs).iter().all(Option::is_none));
        faults.set("s3=throttle:0%".parse().unwrap());
        assert!(strikes(&running, Service::S3).iter().all(Option::is_none));
    }
}
