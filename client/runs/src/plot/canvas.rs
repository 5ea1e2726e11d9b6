//! What plots are drawn on: pixels with fractions, where plotters has whole ones.

use plotters::backend::DrawingBackend;
use plotters::prelude::{Color, IntoFont, RGBAColor, RGBColor, SVGBackend, ShapeStyle};
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::style::{PAPER, TEXT};

/// Parts of a pixel.
const PARTS: f64 = 16.;
/// plotters takes a font's size to be what a line of it needs.
const LINE_OF_FONT: f64 = 1.24;

/// A place, in pixels from the upper left.
pub(super) type Point = (f64, f64);

/// A picture that is being drawn.
pub(super) struct Canvas {
    title: String,
    width: f64,
    height: f64,
    shapes: Vec<Shape>,
}

enum Shape {
    Area(Vec<Point>, RGBColor, f64),
    Path(Vec<Point>, RGBColor, f64),
    Text(Point, Text),
}

/// How something is written.
pub(super) struct Text {
    text: String,
    size: f64,
    color: RGBColor,
    bold: bool,
    anchor: HPos,
}

impl Text {
    pub(super) fn new(text: impl Into<String>, color: RGBColor) -> Self {
        Self {
            text: text.into(),
            size: TEXT,
            color,
            bold: false,
            anchor: HPos::Left,
        }
    }

    pub(super) const fn size(mut self, size: f64) -> Self {
        self.size = size;
        self
    }

    pub(super) const fn bold(mut self) -> Self {
        self.bold = true;
        self
    }

    pub(super) const fn right(mut self) -> Self {
        self.anchor = HPos::Right;
        self
    }

    pub(super) const fn centered(mut self) -> Self {
        self.anchor = HPos::Center;
        self
    }
}

impl Canvas {
    pub(super) fn new(title: impl Into<String>, width: f64, height: f64) -> Self {
        Self {
            title: title.into(),
            width,
            height,
            shapes: Vec::new(),
        }
    }

    /// A filled shape, as opaque as `alpha` says.
    pub(super) fn area(&mut self, points: Vec<Point>, color: RGBColor, alpha: f64) {
        self.shapes.push(Shape::Area(points, color, alpha));
    }

    /// A filled rectangle between two corners.
    pub(super) fn rect(&mut self, from: Point, to: Point, color: RGBColor, alpha: f64) {
        let corners = vec![from, (to.0, from.1), to, (from.0, to.1)];
        self.area(corners, color, alpha);
    }

    /// A filled circle.
    pub(super) fn dot(&mut self, (x, y): Point, radius: f64, color: RGBColor, alpha: f64) {
        let corner = |number: u32| {
            let angle = f64::from(number) / 16. * std::f64::consts::TAU;
            (x + radius * angle.cos(), y + radius * angle.sin())
        };
        self.area((0..16).map(corner).collect(), color, alpha);
    }

    /// A line from each point to the next.
    pub(super) fn path(&mut self, points: Vec<Point>, color: RGBColor, width: f64) {
        self.shapes.push(Shape::Path(points, color, width));
    }

    pub(super) fn line(&mut self, from: Point, to: Point, color: RGBColor, width: f64) {
        self.path(vec![from, to], color, width);
    }

    /// A line in dashes: their length, and what is between them.
    pub(super) fn dashes(
        &mut self,
        points: &[Point],
        color: RGBColor,
        width: f64,
        (on, off): (f64, f64),
    ) {
        let mut along = 0.;
        let mut dash = Vec::new();
        for pair in points.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            let at = |part: f64| {
                let part = part / length;
                (
                    from.0 + part * (to.0 - from.0),
                    from.1 + part * (to.1 - from.1),
                )
            };
            let mut done = 0.;
            while done < length {
                let phase = along % (on + off);
                let is_on = phase < on;
                let step = (if is_on { on - phase } else { on + off - phase }).max(0.01);
                let next = (done + step).min(length);
                if is_on {
                    if dash.is_empty() {
                        dash.push(at(done));
                    }
                    dash.push(at(next));
                } else if !dash.is_empty() {
                    self.path(std::mem::take(&mut dash), color, width);
                }
                along += next - done;
                done = next;
            }
        }
        if !dash.is_empty() {
            self.path(dash, color, width);
        }
    }

    /// Text whose middle is at that height.
    pub(super) fn text(&mut self, at: Point, text: Text) {
        self.shapes.push(Shape::Text(at, text));
    }

    /// The picture as SVG.
    pub(super) fn finish(self) -> String {
        let size = (parts(self.width) as u32, parts(self.height) as u32);
        let mut svg = String::new();
        {
            let mut backend = SVGBackend::with_string(&mut svg, size);
            let all = (size.0 as i32, size.1 as i32);
            drawn(backend.draw_rect((0, 0), all, &fill(PAPER, 1.), true));
            for shape in self.shapes {
                draw(&mut backend, shape);
            }
            drawn(backend.present());
        }
        let head = svg.find('>').map_or(0, |at| at + 1);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{:.0}\" height=\"{:.0}\" viewBox=\"0 0 {} {}\">\n\
             <title>{}</title>{}",
            self.width,
            self.height,
            size.0,
            size.1,
            escaped(&self.title),
            &svg[head..]
        )
    }
}

fn draw(backend: &mut SVGBackend<'_>, shape: Shape) {
    match shape {
        Shape::Area(points, color, alpha) => {
            drawn(backend.fill_polygon(points.into_iter().map(place), &fill(color, alpha)));
        }
        Shape::Path(points, color, width) => {
            let style = ShapeStyle {
                color: color.to_rgba(),
                filled: false,
                stroke_width: parts(width) as u32,
            };
            drawn(backend.draw_path(points.into_iter().map(place), &style));
        }
        Shape::Text(at, text) => {
            let size = text.size * PARTS * LINE_OF_FONT;
            let font = ("sans-serif", size).into_font();
            let font = if text.bold {
                font.style(FontStyle::Bold)
            } else {
                font
            };
            let style = font
                .color(&text.color)
                .pos(Pos::new(text.anchor, VPos::Center));
            drawn(backend.draw_text(&legal(&text.text), &style, place(at)));
        }
    }
}

fn fill(color: RGBColor, alpha: f64) -> RGBAColor {
    color.mix(alpha)
}

/// A string takes whatever is drawn.
fn drawn<E: std::fmt::Debug>(result: Result<(), E>) {
    result.expect("drawing into a string");
}

fn place((x, y): Point) -> (i32, i32) {
    (parts(x), parts(y))
}

fn parts(pixels: f64) -> i32 {
    (pixels * PARTS).round() as i32
}

/// Without characters that XML cannot have.
fn legal(text: &str) -> String {
    let legal = |each: char| !each.is_control() && !matches!(each, '\u{fffe}' | '\u{ffff}');
    text.chars()
        .map(|each| if legal(each) { each } else { '?' })
        .collect()
}

fn escaped(text: &str) -> String {
    let text = legal(text).replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::style::INK;

    #[test]
    fn any_text_is_written_as_xml() {
        let mut canvas = Canvas::new("<&>\u{1}", 10., 10.);
        canvas.text((1., 1.), Text::new("a < b & \"c\" \u{0}\u{fffe}", INK));
        let svg = canvas.finish();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<&str> = document
            .descendants()
            .filter_map(|node| node.text())
            .collect();
        assert!(texts.contains(&"<&>?"), "{texts:?}");
        assert!(
            texts.iter().any(|text| text.trim() == "a < b & \"c\" ??"),
            "{texts:?}"
        );
    }

    #[test]
    fn dashes_go_on_around_corners() {
        let mut canvas = Canvas::new("", 10., 10.);
        canvas.dashes(&[(0., 0.), (3., 0.), (3., 3.), (3., 3.)], INK, 1., (2., 1.));
        let paths: Vec<Vec<Point>> = canvas
            .shapes
            .into_iter()
            .filter_map(|shape| match shape {
                Shape::Path(points, ..) => Some(points),
                _ => None,
            })
            .collect();
        assert_eq!(paths, [vec![(0., 0.), (2., 0.)], vec![(3., 0.), (3., 2.)]]);
    }
}
