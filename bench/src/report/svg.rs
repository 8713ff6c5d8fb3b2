//! A line chart as SVG: a line for each series, a bar from minimum to maximum at each point.

use std::fmt::Write;

use super::markdown::digits;
use super::stats::Spread;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 210.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;
/// Told apart also by people who do not see red and green (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
];

/// A chart over named places on the x axis, evenly spaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Over the chart.
    pub title: String,
    /// Under the x axis.
    pub x: String,
    /// Beside the y axis.
    pub y: String,
    /// The places on the x axis, from the left.
    pub places: Vec<String>,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// Number of the place and the values there.
    pub points: Vec<(usize, Spread)>,
}

impl Chart {
    /// The chart as an SVG document.
    pub fn render(&self) -> String {
        let top = self.ceiling();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
        );
        label(
            &mut svg,
            (WIDTH - RIGHT + LEFT) / 2.0,
            24.0,
            "middle",
            &self.title,
        );
        label(
            &mut svg,
            (WIDTH - RIGHT + LEFT) / 2.0,
            HEIGHT - 14.0,
            "middle",
            &self.x,
        );
        label(&mut svg, LEFT - 50.0, TOP - 14.0, "start", &self.y);
        self.grid(&mut svg, top);
        for (number, series) in self.series.iter().enumerate() {
            self.line(&mut svg, top, number, series);
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// A round number that no value exceeds.
    fn ceiling(&self) -> f64 {
        let points = self.series.iter().flat_map(|s| &s.points);
        let most = points.map(|(_, spread)| spread.max).fold(0.0, f64::max);
        if most <= 0.0 {
            return 1.0;
        }
        let unit = 10f64.powf(most.log10().floor());
        let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
        let fits = steps.into_iter().find(|step| step * unit >= most);
        fits.unwrap_or(10.0) * unit
    }

    fn grid(&self, svg: &mut String, top: f64) {
        const LINES: u32 = 5;
        for step in 0..=LINES {
            let value = top * f64::from(step) / f64::from(LINES);
            let y = height(value, top);
            let right = WIDTH - RIGHT;
            put(
                svg,
                format_args!(
                    "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\n"
                ),
            );
            label(svg, LEFT - 8.0, y + 4.0, "end", &digits(value));
        }
        for (number, place) in self.places.iter().enumerate() {
            label(
                svg,
                self.across(number),
                HEIGHT - BOTTOM + 20.0,
                "middle",
                place,
            );
        }
    }

    fn line(&self, svg: &mut String, top: f64, number: usize, series: &Series) {
        let colour = COLOURS[number % COLOURS.len()];
        let points: Vec<(f64, Spread)> = series
            .points
            .iter()
            .map(|(place, spread)| (self.across(*place), *spread))
            .collect();
        let path: Vec<String> = points
            .iter()
            .map(|(x, spread)| format!("{x:.1},{:.1}", height(spread.median, top)))
            .collect();
        put(
            svg,
            format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n",
                path.join(" ")
            ),
        );
        for (x, spread) in points {
            let [low, middle, high] =
                [spread.min, spread.median, spread.max].map(|value| height(value, top));
            put(
                svg,
                format_args!(
                    "<line x1=\"{x:.1}\" y1=\"{low:.1}\" x2=\"{x:.1}\" y2=\"{high:.1}\" stroke=\"{colour}\"/>\n\
                 <circle cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"3\" fill=\"{colour}\"/>\n"
                ),
            );
        }
        let y = TOP + 18.0 * number as f64;
        let x = WIDTH - RIGHT + 16.0;
        put(
            svg,
            format_args!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\n"
            ),
        );
        label(svg, x + 18.0, y + 10.0, "start", &series.name);
    }

    fn across(&self, place: usize) -> f64 {
        let room = WIDTH - LEFT - RIGHT;
        LEFT + room * (place as f64 + 0.5) / self.places.len().max(1) as f64
    }
}

fn height(value: f64, top: f64) -> f64 {
    HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top
}

fn label(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    put(
        svg,
        format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"),
    );
}

/// Writing to a `String` cannot fail.
fn put(svg: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = svg.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> Chart {
        let point = |(place, value): (usize, &f64)| (place, Spread::of([*value]).unwrap());
        Chart {
            title: "a < b".into(),
            x: "flows".into(),
            y: "Mpps".into(),
            places: vec!["1 k".into(), "4 k".into()],
            series: vec![Series {
                name: "one".into(),
                points: values.iter().enumerate().map(point).collect(),
            }],
        }
    }

    #[test]
    fn the_axis_ends_at_a_round_number_above_all_values() {
        assert_eq!(chart(&[17.0, 3.0]).ceiling(), 20.0);
        assert_eq!(chart(&[0.9]).ceiling(), 1.0);
        assert_eq!(chart(&[20.0]).ceiling(), 20.0);
        assert_eq!(chart(&[]).ceiling(), 1.0);
    }

    #[test]
    fn zero_is_at_the_bottom_and_the_ceiling_at_the_top() {
        assert_eq!(height(0.0, 10.0), HEIGHT - BOTTOM);
        assert_eq!(height(10.0, 10.0), TOP);
    }

    #[test]
    fn a_chart_has_a_point_for_each_value_and_escapes_text() {
        let svg = chart(&[1.0, 2.0]).render();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("a &lt; b"));
        assert!(svg.ends_with("</svg>\n"));
    }
}
