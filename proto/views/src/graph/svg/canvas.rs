//! What the layout draws on: it decides where things are, this writes them down.
//!
//! The layout library's own writer assumes a proportional font one em wide, and grows the picture with
//! the length of its texts; this one uses a font of a known width and knows what it has drawn.

use std::fmt::Write;

use layout::core::color::Color;
use layout::core::format::{ClipHandle, RenderBackend};
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;

/// In pixels.
pub(super) const FONT_SIZE: usize = 13;
/// The width of a character of a monospaced font of that size, and a little more.
pub(super) const COLUMN_WIDTH: f64 = 8.;
/// From one line of text to the next.
pub(super) const LINE_HEIGHT: f64 = 17.;

const MARGIN: f64 = 20.;

const MARKERS: &str = r#"<defs>
<marker id="end" markerWidth="12" markerHeight="9" refX="11" refY="4.5" orient="auto" markerUnits="userSpaceOnUse"><polygon points="0 0, 12 4.5, 0 9" fill="context-stroke"/></marker>
<marker id="start" markerWidth="12" markerHeight="9" refX="1" refY="4.5" orient="auto" markerUnits="userSpaceOnUse"><polygon points="12 0, 12 9, 0 4.5" fill="context-stroke"/></marker>
</defs>
"#;

/// The document, without its frame.
pub(super) struct Canvas {
    caption: String,
    content: String,
    /// What is written, which goes over everything that is drawn.
    texts: String,
    from: Point,
    to: Point,
}

impl Canvas {
    pub(super) fn new(caption: String) -> Self {
        let width = caption.chars().count() as f64 * COLUMN_WIDTH;
        Self {
            caption,
            content: String::new(),
            texts: String::new(),
            from: Point::zero(),
            to: Point::new(width, 0.),
        }
    }

    pub(super) fn finish(mut self) -> String {
        let caption = std::mem::take(&mut self.caption);
        let below = Point::new(self.from.x, self.to.y + LINE_HEIGHT);
        self.line_of_text(below, "start", Color::new(0x22_22_22_ff), &caption);
        self.cover(Point::new(below.x, below.y + 4.));

        let (x, y) = (self.from.x - MARGIN, self.from.y - MARGIN);
        let width = self.to.x - self.from.x + 2. * MARGIN;
        let height = self.to.y - self.from.y + 2. * MARGIN;
        let Self { content, texts, .. } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"{x:.0} {y:.0} {width:.0} {height:.0}\" font-family=\"monospace\" \
             font-size=\"{FONT_SIZE}\">\n{MARKERS}\
             <rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             {content}<g stroke=\"white\" stroke-width=\"4\" stroke-linejoin=\"round\" \
             paint-order=\"stroke\">\n{texts}</g>\n</svg>\n"
        )
    }

    fn cover(&mut self, point: Point) {
        self.from = Point::new(self.from.x.min(point.x), self.from.y.min(point.y));
        self.to = Point::new(self.to.x.max(point.x), self.to.y.max(point.y));
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.content, "{element}").expect("writing to a string");
    }

    fn line_of_text(&mut self, at: Point, anchor: &str, color: Color, text: &str) {
        let (x, y, color, text) = (at.x, at.y, web(color), escaped(text));
        let texts = &mut self.texts;
        writeln!(
            texts,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\" \
             xml:space=\"preserve\">{text}</text>"
        )
        .expect("writing to a string");
    }
}

/// Without the opacity.
fn web(color: Color) -> String {
    let mut web = color.to_web_color();
    web.truncate(7);
    web
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

impl RenderBackend for Canvas {
    fn draw_rect(
        &mut self,
        xy: Point,
        size: Point,
        look: &StyleAttr,
        _: Option<String>,
        _: Option<ClipHandle>,
    ) {
        self.cover(xy);
        self.cover(xy.add(size));
        let (true, Some(fill)) = (look.line_width > 0, look.fill_color) else {
            return;
        };
        self.put(format_args!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{}\" \
             fill=\"{}\" stroke=\"{}\" stroke-width=\"{}\"/>",
            xy.x,
            xy.y,
            size.x,
            size.y,
            look.rounded,
            web(fill),
            web(look.line_color),
            look.line_width,
        ));
    }

    fn draw_text(&mut self, xy: Point, text: &str, look: &StyleAttr) {
        let lines: Vec<&str> = text.lines().collect();
        let height = (lines.len() as f64 - 1.) * LINE_HEIGHT;
        // A text stands on its base line, which is about a third of its size below its middle.
        let mut at = Point::new(xy.x, xy.y - height / 2. + FONT_SIZE as f64 / 3.);
        for line in lines {
            self.line_of_text(at, "middle", look.line_color, line);
            at.y += LINE_HEIGHT;
        }
    }

    /// The path is a point with the way out of it, and then points with the way into them.
    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        _: bool,
        head: (bool, bool),
        look: &StyleAttr,
        _: Option<String>,
        _: &str,
    ) {
        let [(start, out), (into, end), rest @ ..] = path else {
            return;
        };
        let mut way = format!(
            "M {:.1} {:.1} C {:.1} {:.1}, {:.1} {:.1}, {:.1} {:.1}",
            start.x, start.y, out.x, out.y, into.x, into.y, end.x, end.y
        );
        for (into, end) in rest {
            let (a, b) = (into, end);
            write!(way, " S {:.1} {:.1}, {:.1} {:.1}", a.x, a.y, b.x, b.y)
                .expect("writing to a string");
        }
        for &(a, b) in path {
            self.cover(a);
            self.cover(b);
        }
        let start = if head.0 {
            " marker-start=\"url(#start)\""
        } else {
            ""
        };
        let end = if head.1 {
            " marker-end=\"url(#end)\""
        } else {
            ""
        };
        let (color, width) = (web(look.line_color), look.line_width);
        self.put(format_args!(
            "<path d=\"{way}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"{start}{end}/>"
        ));
    }

    // The graph has only boxes and arrows; the layout draws the rest when it is debugged.
    fn draw_line(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn draw_circle(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn create_clip(&mut self, _: Point, _: Point, _: usize) -> ClipHandle {
        0
    }
}
