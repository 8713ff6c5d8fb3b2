//! The plots a run is good for: what was varied is found by comparing the names of corners.

use std::collections::BTreeMap;

use super::markdown::name;
use super::stats::Figure;
use super::svg::{Chart, Series};
use crate::Suite;

/// Dimensions of the matrix that are plotted over, as corners name them.
const DIMENSIONS: [&str; 3] = ["flows", "rules", "devices"];
/// Percentiles of a latency, in the order of the axis.
const PERCENTILES: [&str; 3] = ["p50", "p99", "p99.9"];

/// File names and SVG documents.
pub fn plots(figures: &[Figure]) -> Vec<(String, String)> {
    let mut files = BTreeMap::new();
    for (stem, chart) in sweeps(figures).into_iter().chain(latencies(figures)) {
        // A second sweep over the same dimension gets a number of its own.
        let free = (1..).map(|n| {
            if n == 1 {
                format!("{stem}.svg")
            } else {
                format!("{stem}-{n}.svg")
            }
        });
        if let Some(file) = free.into_iter().find(|file| !files.contains_key(file)) {
            files.insert(file, chart.render());
        }
    }
    files.into_iter().collect()
}

/// Throughput over every dimension of which one suite has several values, all else equal.
fn sweeps(figures: &[Figure]) -> Vec<(String, Chart)> {
    let mut charts = Vec::new();
    for dimension in DIMENSIONS {
        let mut groups: BTreeMap<(Suite, String), Vec<(u64, &Figure)>> = BTreeMap::new();
        for figure in figures.iter().filter(|f| f.metric == "throughput") {
            if let Some((value, rest)) = split(&figure.corner, dimension) {
                groups
                    .entry((figure.suite, rest))
                    .or_default()
                    .push((value, figure));
            }
        }
        for ((suite, rest), group) in groups {
            let mut places: Vec<u64> = group.iter().map(|(value, _)| *value).collect();
            places.sort_unstable();
            places.dedup();
            if places.len() > 1 {
                let stem = format!("{}-throughput-by-{dimension}", name(suite));
                charts.push((stem, sweep(dimension, &rest, &places, &group)));
            }
        }
    }
    charts
}

fn sweep(dimension: &str, rest: &str, places: &[u64], group: &[(u64, &Figure)]) -> Chart {
    let unit = group.first().map_or("", |(_, figure)| &figure.unit);
    let points = group.iter().filter_map(|(value, figure)| {
        let place = places.binary_search(value).ok()?;
        Some((figure.system.as_str(), place, figure))
    });
    Chart {
        title: rest.to_owned(),
        x: dimension.to_owned(),
        y: unit.to_owned(),
        places: places.iter().map(ToString::to_string).collect(),
        series: series(points),
    }
}

/// The number in front of a dimension in a corner, and the corner without it.
fn split(corner: &str, dimension: &str) -> Option<(u64, String)> {
    let parts: Vec<&str> = corner.split(", ").collect();
    let value = |part: &str| {
        let (number, word) = part.split_once(' ')?;
        let plural = word == dimension || Some(word) == dimension.strip_suffix('s');
        number.parse().ok().filter(|_| plural)
    };
    let (at, value) = parts
        .iter()
        .enumerate()
        .find_map(|(at, part)| Some((at, value(part)?)))?;
    let rest: Vec<&str> = [&parts[..at], &parts[at + 1..]].concat();
    Some((value, rest.join(", ")))
}

/// Percentiles of latency at every corner that has them.
fn latencies(figures: &[Figure]) -> Vec<(String, Chart)> {
    let mut groups: BTreeMap<(Suite, &str), Vec<(usize, &Figure)>> = BTreeMap::new();
    for figure in figures {
        let place = PERCENTILES
            .iter()
            .position(|p| figure.metric == format!("latency {p}"));
        if let Some(place) = place {
            let group = groups.entry((figure.suite, &figure.corner)).or_default();
            group.push((place, figure));
        }
    }
    groups
        .into_iter()
        .map(|((suite, corner), group)| {
            let points = group
                .iter()
                .map(|(place, f)| (f.system.as_str(), *place, f));
            let chart = Chart {
                title: corner.to_owned(),
                x: "latency".to_owned(),
                y: group
                    .first()
                    .map_or_else(String::new, |(_, f)| f.unit.clone()),
                places: PERCENTILES.map(str::to_owned).to_vec(),
                series: series(points),
            };
            (format!("{}-latency", name(suite)), chart)
        })
        .collect()
}

fn series<'a>(points: impl Iterator<Item = (&'a str, usize, &'a &'a Figure)>) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for (system, place, figure) in points {
        let point = (place, figure.spread);
        match series.iter_mut().find(|s| s.name == system) {
            Some(found) => found.points.push(point),
            None => series.push(Series {
                name: system.to_owned(),
                points: vec![point],
            }),
        }
    }
    for line in &mut series {
        line.points.sort_by_key(|(place, _)| *place);
    }
    series
}

#[cfg(test)]
mod tests {
    use super::super::stats::{figures, tests::sample};
    use super::*;

    #[test]
    fn a_dimension_is_taken_out_of_a_corner() {
        let corner = "64 B, 1 rule, 10 devices";
        assert_eq!(split(corner, "rules"), Some((1, "64 B, 10 devices".into())));
        assert_eq!(split(corner, "devices"), Some((10, "64 B, 1 rule".into())));
        assert_eq!(split(corner, "flows"), None);
    }

    #[test]
    fn what_differs_in_one_dimension_is_one_plot() {
        let samples = [
            sample("64 B, 4096 flows", "wardline", 0, 1.0),
            sample("64 B, 1024 flows", "wardline", 0, 2.0),
            sample("64 B, 1024 flows", "switch", 0, 3.0),
            sample("IMIX, 1024 flows", "switch", 0, 3.0),
        ];
        let charts = sweeps(&figures(&samples));
        assert_eq!(charts.len(), 1);
        let (stem, chart) = &charts[0];
        assert_eq!(stem, "raw-throughput-by-flows");
        assert_eq!(chart.places, ["1024", "4096"]);
        let places: Vec<usize> = chart.series[0].points.iter().map(|(p, _)| *p).collect();
        assert_eq!((chart.series.len(), places), (2, vec![0, 1]));
    }

    #[test]
    fn percentiles_of_a_corner_are_one_plot() {
        let mut samples = Vec::new();
        for (metric, value) in [("latency p50", 10.0), ("latency p99", 30.0)] {
            samples.push(crate::Sample {
                metric: metric.into(),
                ..sample("64 B", "wardline", 0, value)
            });
        }
        let charts = latencies(&figures(&samples));
        assert_eq!(charts.len(), 1);
        assert_eq!(charts[0].1.series[0].points.len(), 2);
    }
}
