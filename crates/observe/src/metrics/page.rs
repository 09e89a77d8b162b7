//! The text of a scrape: Prometheus' text format, version 0.0.4.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use types::outcome::ReloadResult;

use super::catalogue::{self as metric, Kind, Metric};
use super::facts::Facts;
use super::meters::{LegMeter, Meters, RouteMeter, Step};

/// What [`render`] returns, as a content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One scrape: what was counted, and what was read for it.
#[derive(Debug)]
struct Scrape {
    meters: Arc<Meters>,
    facts: Facts,
}

/// Writes families, each whole before the next.
struct Page<'e> {
    encoder: DescriptorEncoder<'e>,
}

/// Writes the series of one family.
struct Family<'e> {
    encoder: MetricEncoder<'e>,
    labels: &'static [&'static str],
}

/// All metrics at this moment, as Prometheus reads them; its content type is [`CONTENT_TYPE`].
#[must_use]
pub fn render(meters: &Arc<Meters>, facts: Facts) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { meters: Arc::clone(meters), facts }));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = prometheus_client::encoding::prometheus_text::encode(&mut text, &registry);
    text
}

// === impl Scrape ===

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page { encoder };
        self.start(&mut page)?;
        self.connections(&mut page)?;
        self.logins(&mut page)?;
        self.sessions(&mut page)?;
        self.backends(&mut page)?;
        self.mapping(&mut page)?;
        self.moves(&mut page)?;
        self.program(&mut page)
    }
}

impl Scrape {
    fn start(&self, page: &mut Page<'_>) -> fmt::Result {
        page.family(&metric::BUILD_INFO, |family| family.gauge(&[self.facts.version], 1.0))?;
        page.family(&metric::START_TIME, |family| family.gauge(&[], self.facts.started))
    }

    fn connections(&self, page: &mut Page<'_>) -> fmt::Result {
        let listeners = &self.meters.listeners;
        page.family(&metric::ACCEPTED, |family| {
            for (name, meter) in listeners {
                family.counter(&[name, meter.protocol], meter.accepted.get())?;
            }
            Ok(())
        })?;
        page.family(&metric::REFUSED, |family| {
            for (name, meter) in listeners {
                for (reason, count) in meter.refused.read() {
                    family.counter(&[name, meter.protocol, reason.label()], count)?;
                }
            }
            Ok(())
        })?;
        page.family(&metric::CONNECTIONS, |family| {
            for (name, meter) in listeners {
                family.gauge(&[name, meter.protocol, "login"], float(meter.in_login.get()))?;
                family.gauge(&[name, meter.protocol, "session"], float(meter.in_session.get()))?;
            }
            Ok(())
        })
    }

    fn logins(&self, page: &mut Page<'_>) -> fmt::Result {
        page.family(&metric::LOGINS, |family| {
            self.legs(|protocol, destination, meter| {
                for ((mechanism, result), count) in meter.logins.read() {
                    family.counter(&[protocol, mechanism, destination, result.label()], count)?;
                }
                Ok(())
            })
        })?;
        page.family(&metric::LOGIN_SECONDS, |family| {
            for (name, meter) in &self.meters.listeners {
                for (step, histogram) in Step::ALL.into_iter().zip(&meter.steps) {
                    family.histogram(&[name, meter.protocol, step.label()], histogram)?;
                }
            }
            Ok(())
        })?;
        page.family(&metric::LOGINS_UNDER_WAY, |family| family.gauge(&[], count(self.facts.logins)))?;
        page.family(&metric::ACCOUNTS, |family| family.gauge(&[], count(self.facts.accounts)))
    }

    fn sessions(&self, page: &mut Page<'_>) -> fmt::Result {
        page.family(&metric::SESSIONS, |family| {
            self.routes(|labels, meter| family.gauge(&labels, float(meter.sessions.get())))
        })?;
        page.family(&metric::SESSIONS_ENDED, |family| {
            self.routes(|[listener, protocol, destination], meter| {
                for (why, count) in meter.ended.read() {
                    family.counter(&[listener, protocol, destination, why.label()], count)?;
                }
                Ok(())
            })
        })?;
        page.family(&metric::BYTES, |family| {
            self.routes(|[listener, protocol, destination], meter| {
                let labels = |direction| [listener, protocol, destination, direction];
                family.counter(&labels("to_backend"), meter.to_backend.get())?;
                family.counter(&labels("to_client"), meter.to_client.get())
            })
        })
    }

    fn backends(&self, page: &mut Page<'_>) -> fmt::Result {
        type Of = fn(&LegMeter) -> &Histogram;
        let steps: [(&Metric, Of); 4] = [
            (&metric::CONNECT_SECONDS, |meter| &meter.connect),
            (&metric::TLS_SECONDS, |meter| &meter.tls),
            (&metric::GREETING_SECONDS, |meter| &meter.greeting),
            (&metric::AUTH_SECONDS, |meter| &meter.auth),
        ];
        for (metric, histogram) in steps {
            page.family(metric, |family| {
                self.legs(|protocol, destination, meter| match destination {
                    "" => Ok(()),
                    _ => family.histogram(&[destination, protocol], histogram(meter)),
                })
            })?;
        }
        page.family(&metric::FAULTS, |family| {
            self.legs(|protocol, destination, meter| {
                for (fault, count) in meter.faults.read() {
                    family.counter(&[destination, protocol, fault.label()], count)?;
                }
                Ok(())
            })
        })?;
        page.family(&metric::UP, |family| {
            for leg in &self.facts.legs {
                family.gauge(&[&leg.destination, leg.protocol], f64::from(u8::from(leg.is_up)))?;
            }
            Ok(())
        })?;
        page.family(&metric::FAILURES, |family| {
            for leg in &self.facts.legs {
                family.gauge(&[&leg.destination, leg.protocol], f64::from(leg.consecutive_failures))?;
            }
            Ok(())
        })
    }

    fn mapping(&self, page: &mut Page<'_>) -> fmt::Result {
        let Facts { cache, store, mapped, .. } = &self.facts;
        page.family(&metric::CACHE_HITS, |family| family.counter(&[], cache.hits))?;
        page.family(&metric::CACHE_MISSES, |family| family.counter(&[], cache.misses))?;
        page.family(&metric::CACHE_ENTRIES, |family| family.gauge(&[], count(cache.entries)))?;
        page.family(&metric::MAPPED, |family| {
            for (destination, entries) in mapped {
                family.gauge(&[destination], count(*entries))?;
            }
            Ok(())
        })?;
        page.family(&metric::STORE_SECONDS, |family| {
            let lookups = store.buckets.iter().map(|(_, count)| count).sum();
            family.encoder.encode_histogram::<NoLabelSet>(store.seconds, lookups, &store.buckets, None)
        })?;
        page.family(&metric::STORE_ERRORS, |family| family.counter(&[], store.errors))?;
        page.family(&metric::STORE_DOWN, |family| family.counter(&[], store.down))?;
        page.family(&metric::UNDECLARED, |family| family.counter(&[], store.undeclared))
    }

    fn moves(&self, page: &mut Page<'_>) -> fmt::Result {
        let moves = &self.facts.moves;
        page.family(&metric::MOVES_UNFINISHED, |family| {
            for (step, moves) in &moves.unfinished {
                family.gauge(&[step], count(*moves))?;
            }
            Ok(())
        })?;
        page.family(&metric::MOVES, |family| {
            for (outcome, moves) in &moves.ended {
                family.counter(&[outcome], *moves)?;
            }
            Ok(())
        })?;
        page.family(&metric::MOVES_HELD, |family| family.seconds(moves.held_seconds))?;
        page.family(&metric::MOVES_WAITED, |family| family.counter(&[], moves.logins_waited))?;
        page.family(&metric::MOVES_WAITING, |family| family.gauge(&[], count(moves.waiting_logins)))
    }

    fn program(&self, page: &mut Page<'_>) -> fmt::Result {
        let Facts { tokens, certificates, reloads, log_lines_dropped, process, .. } = &self.facts;
        page.family(&metric::TOKENS, |family| family.counter(&[], tokens.asked))?;
        page.family(&metric::TOKENS_REMEMBERED, |family| family.counter(&[], tokens.remembered))?;
        page.family(&metric::TOKEN_ERRORS, |family| family.counter(&[], tokens.failed))?;
        page.family(&metric::CERTIFICATE_EXPIRY, |family| {
            for (name, not_after) in certificates {
                family.gauge(&[name], float(*not_after))?;
            }
            Ok(())
        })?;
        page.family(&metric::RELOADS, |family| {
            family.counter(&[ReloadResult::Done.label()], reloads.done)?;
            family.counter(&[ReloadResult::Refused.label()], reloads.refused)
        })?;
        page.family(&metric::LAST_RELOAD, |family| family.gauge(&[], reloads.last_success))?;
        page.family(&metric::LOG_LINES_DROPPED, |family| family.counter(&[], *log_lines_dropped))?;
        let Some(process) = process else { return Ok(()) };
        page.family(&metric::MEMORY, |family| family.gauge(&[], unsigned(process.resident_bytes)))?;
        page.family(&metric::DESCRIPTORS, |family| family.gauge(&[], unsigned(process.descriptors)))?;
        page.family(&metric::MAX_DESCRIPTORS, |family| {
            family.gauge(&[], process.max_descriptors.map_or(f64::INFINITY, unsigned))
        })
    }

    fn legs(&self, mut visit: impl FnMut(&'static str, &str, &LegMeter) -> fmt::Result) -> fmt::Result {
        for (protocol, legs) in &self.meters.legs {
            for (destination, meter) in legs {
                visit(protocol, destination, meter)?;
            }
        }
        Ok(())
    }

    fn routes(&self, mut visit: impl FnMut([&str; 3], &RouteMeter) -> fmt::Result) -> fmt::Result {
        for (listener, routes) in &self.meters.routes {
            let protocol = self.meters.listener(listener).protocol;
            for (destination, meter) in routes {
                visit([listener, protocol, destination], meter)?;
            }
        }
        Ok(())
    }
}

// === impl Page ===

impl Page<'_> {
    fn family(&mut self, metric: &Metric, write: impl FnOnce(&mut Family<'_>) -> fmt::Result) -> fmt::Result {
        let (name, kind) = match metric.kind {
            // The encoder puts the suffix back.
            Kind::Counter => (metric.name.trim_end_matches("_total"), MetricType::Counter),
            Kind::Gauge => (metric.name, MetricType::Gauge),
            Kind::Histogram => (metric.name, MetricType::Histogram),
        };
        let encoder = self.encoder.encode_descriptor(name, metric.help, None, kind)?;
        write(&mut Family { encoder, labels: metric.labels })
    }
}

// === impl Family ===

impl Family<'_> {
    fn counter(&mut self, values: &[&str], count: u64) -> fmt::Result {
        self.one(values, |mut series| series.encode_counter::<NoLabelSet, _, u64>(&count, None))
    }

    /// A counter of seconds, without labels.
    fn seconds(&mut self, seconds: f64) -> fmt::Result {
        self.one(&[], |mut series| series.encode_counter::<NoLabelSet, _, u64>(&seconds, None))
    }

    fn gauge(&mut self, values: &[&str], value: f64) -> fmt::Result {
        self.one(values, |mut series| series.encode_gauge(&value))
    }

    fn histogram(&mut self, values: &[&str], histogram: &Histogram) -> fmt::Result {
        self.one(values, |series| histogram.encode(series))
    }

    fn one(&mut self, values: &[&str], write: impl FnOnce(MetricEncoder<'_>) -> fmt::Result) -> fmt::Result {
        debug_assert_eq!(self.labels.len(), values.len(), "{values:?}");
        let labels: Vec<(&str, &str)> = self.labels.iter().copied().zip(values.iter().copied()).collect();
        write(self.encoder.encode_family(&labels)?)
    }
}

/// Prometheus has no integers; no gauge of ours comes near 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn float(value: i64) -> f64 {
    value as f64
}

fn unsigned(value: u64) -> f64 {
    float(i64::try_from(value).unwrap_or(i64::MAX))
}

fn count(value: usize) -> f64 {
    float(i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
