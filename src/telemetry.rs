//! What a node counts and measures. Each metric is declared once, in `telemetry/table.rs`, with its name, its labels and
//! what it means; `docs/metrics.md` is made of that.
//!
//! Whoever may read metrics may not, for that, read records: no label names an organisation, an incident or an officer,
//! and but for a clause that erred nothing here tells one reason for which nothing was released from another: neither that
//! a request matches a record, nor that it matches too many. The values of each label are a closed list, or the agencies,
//! authorities and keys of the node's configuration.

mod call;
mod page;
mod table;
mod traces;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry};

pub use call::{Call, Code};
pub use page::page;
pub use table::{METRICS, Metrics, Row};
pub use traces::Traces;

/// A metric's labels: names from the table, each with its value.
pub type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// One metric for each combination of labels.
#[derive(Debug, Clone)]
pub struct Series<M>(Family<Labels, M, fn() -> M>);

impl<M: Clone> Series<M> {
    /// The one with these labels.
    pub fn of<const N: usize>(&self, labels: [(&'static str, &'static str); N]) -> M {
        self.with(labels.map(|(name, value)| (name, Cow::Borrowed(value))))
    }

    /// The same where a value is the configuration's.
    pub fn with(&self, labels: impl Into<Labels>) -> M {
        self.0.get_or_create_owned(&labels.into())
    }

    /// Forgets all of them: what is not set anew is no longer there.
    pub fn clear(&self) {
        self.0.clear();
    }
}

/// How a metric is made and put into the registry.
trait Made: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// As Prometheus calls it.
    const KIND: &'static str;

    fn made() -> Self;

    fn register(&self, name: &str, help: &str, registry: &mut Registry);
}

fn put<M: Metric + EncodeMetric + Clone>(metric: &M, name: &str, help: &str, registry: &mut Registry) {
    // The format writes it after each counter's name by itself.
    registry.register(name.strip_suffix("_total").unwrap_or(name), help, metric.clone());
}

macro_rules! made {
    ($($metric:ty, $kind:literal, $new:expr;)+) => { $(
        impl Made for $metric {
            const KIND: &'static str = $kind;

            fn made() -> Self {
                $new
            }

            fn register(&self, name: &str, help: &str, registry: &mut Registry) {
                put(self, name, help, registry);
            }
        }

        impl Made for Series<$metric> {
            const KIND: &'static str = $kind;

            fn made() -> Self {
                Self(Family::new_with_constructor(<$metric>::made as fn() -> $metric))
            }

            fn register(&self, name: &str, help: &str, registry: &mut Registry) {
                put(&self.0, name, help, registry);
            }
        }
    )+ };
}
made! {
    Counter, "counter", Counter::default();
    Gauge, "gauge", Gauge::default();
    Known, "gauge", Known::default();
    Times, "histogram", Times(Histogram::new(SECONDS));
    Sizes, "histogram", Sizes(Histogram::new(CALLS));
}

/// From half a millisecond, which a commit on a good disk takes, to the longest deadline.
const SECONDS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
/// Up to the most that one batch takes.
const CALLS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How long something takes.
#[derive(Debug, Clone)]
pub struct Times(Histogram);

impl Times {
    /// It took this long.
    pub fn took(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }
}

/// How many there are of something.
#[derive(Debug, Clone)]
pub struct Sizes(Histogram);

impl Sizes {
    /// There were so many.
    pub fn were(&self, count: usize) {
        self.0.observe(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
}

/// A figure that is on the page once it is known: what is not known yet is not 0.
#[derive(Debug, Clone, Default)]
pub struct Known {
    gauge: Gauge,
    is_known: Arc<AtomicBool>,
}

impl Known {
    /// It is this now.
    pub fn set(&self, figure: i64) {
        self.gauge.set(figure);
        self.is_known.store(true, Ordering::Release);
    }
}

impl TypedMetric for Known {
    const TYPE: MetricType = <Gauge as TypedMetric>::TYPE;
}

impl EncodeMetric for Known {
    fn encode(&self, encoder: MetricEncoder<'_>) -> std::fmt::Result {
        self.gauge.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.gauge.metric_type()
    }

    fn is_empty(&self) -> bool {
        !self.is_known.load(Ordering::Acquire)
    }
}

macro_rules! through {
    ($($metric:ty),+) => { $(
        impl TypedMetric for $metric {
            const TYPE: MetricType = Histogram::TYPE;
        }

        impl EncodeMetric for $metric {
            fn encode(&self, encoder: MetricEncoder<'_>) -> std::fmt::Result {
                self.0.encode(encoder)
            }

            fn metric_type(&self) -> MetricType {
                self.0.metric_type()
            }
        }
    )+ };
}
through!(Times, Sizes);

/// A count as a gauge takes it.
pub fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
