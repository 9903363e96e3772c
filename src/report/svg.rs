//! A small SVG writer: fixed decimals, escaped text, title and description, light and dark by CSS.

use std::fmt::Write;

use super::text::escape;

/// Style of every picture and of the pages that hold them. Colours follow the reader's scheme
/// unless the root element has the class `light` or `dark`. The qualitative colours are muted
/// relatives of Okabe and Ito's, told apart by colour-blind readers; the loss scale grows steadily
/// in lightness.
pub const STYLE: &str = include_str!("style.css");

/// Which colours a picture has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the reader's system says.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    fn class(self) -> &'static str {
        match self {
            Self::Auto => "picture",
            Self::Light => "picture light",
            Self::Dark => "picture dark",
        }
    }
}

/// A picture in the making.
#[derive(Debug)]
pub struct Svg {
    body: String,
    width: f64,
    title: String,
    description: String,
}

/// Where a text stands against its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It starts there.
    Start,
    /// It is centred there.
    Middle,
    /// It ends there.
    End,
}

/// A coordinate with one decimal; -0 is 0, so that equal pictures are equal bytes.
pub fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".into() } else { text.to_owned() }
}

impl Svg {
    /// A picture of this width, with what screen readers say of it.
    pub fn new(width: f64, title: &str, description: &str) -> Self {
        Self { body: String::new(), width, title: title.into(), description: description.into() }
    }

    /// Text at a point, on its baseline.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (number(x), number(y), escape(text));
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// Text clipped to `most` characters; the whole of it shows on hover.
    pub fn label(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str, most: usize) {
        let short = super::text::clip(text, most);
        if short == text {
            return self.text(at, anchor, class, text);
        }
        // Names may be 10 kB: what hover shows is bounded too.
        let whole = super::text::clip(text, 400);
        let _ = writeln!(self.body, "<g><title>{}</title>", escape(&whole));
        self.text(at, anchor, class, &short);
        self.body.push_str("</g>\n");
    }

    /// A rectangle with a hover text.
    pub fn rect(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        class: &str,
        title: Option<&str>,
    ) {
        let (x, y, w, h) = (number(x), number(y), number(width.max(0.0)), number(height.max(0.0)));
        let _ = write!(
            self.body,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" class=\"{class}\""
        );
        self.close("rect", title);
    }

    /// A line.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (number(x1), number(y1), number(x2), number(y2));
        let _ = writeln!(
            self.body,
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"{class}\"/>"
        );
    }

    /// A path with a hover text. `d` is made by the caller from [`number`]s.
    pub fn path(&mut self, d: &str, class: &str, title: Option<&str>) {
        let _ = write!(self.body, "<path d=\"{d}\" class=\"{class}\"");
        self.close("path", title);
    }

    fn close(&mut self, tag: &str, title: Option<&str>) {
        match title {
            None => self.body.push_str("/>\n"),
            Some(title) => {
                let title = escape(&super::text::clip(title, 800));
                let _ = writeln!(self.body, "><title>{title}</title></{tag}>");
            }
        }
    }

    /// The picture to stand in a page, whose style it shares.
    pub fn inline(self, height: f64, theme: Theme) -> String {
        self.finish(height, theme, false)
    }

    /// The picture as a document of its own.
    pub fn document(self, height: f64, theme: Theme) -> String {
        self.finish(height, theme, true)
    }

    fn finish(self, height: f64, theme: Theme, alone: bool) -> String {
        let (w, h) = (number(self.width), number(height));
        let style = if alone { format!("<style>{STYLE}</style>\n") } else { String::new() };
        let size = if alone { format!(" width=\"{w}\" height=\"{h}\"") } else { String::new() };
        let class = theme.class();
        // Names may be 10 kB.
        let title = escape(&super::text::clip(&self.title, 300));
        let description = escape(&super::text::clip(&self.description, 1500));
        // The label repeats the title, because not every reader looks inside.
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\"{size} class=\"{class}\" \
             role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n<desc>{description}</desc>\n\
             {style}<rect width=\"{w}\" height=\"{h}\" class=\"paper\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// Class of a loss on the five-step scale of the style.
pub fn loss_class(loss: f64) -> &'static str {
    match loss {
        l if l <= 1e-12 => "loss0",
        l if l < 0.05 => "loss1",
        l if l < 0.2 => "loss2",
        l if l < 0.5 => "loss3",
        l if l < 0.8 => "loss4",
        _ => "loss5",
    }
}

/// A picture ready to be finished either way.
#[derive(Debug)]
pub struct Picture {
    /// What is drawn.
    pub svg: Svg,
    /// Its height.
    pub height: f64,
}

impl Picture {
    /// As a document of its own.
    pub fn document(self, theme: Theme) -> String {
        self.svg.document(self.height, theme)
    }

    /// To stand in a page.
    pub fn inline(self) -> String {
        self.svg.inline(self.height, Theme::Auto)
    }
}
