//! The formats by name, content type and extension.

/// A file format that networks are read from and written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON record a line.
    Ndjson,
    /// One table: nodes, flows or requirements, told by its header.
    Csv,
    /// `nodes.csv`, `flows.csv`, `requirements.csv` in a zip archive.
    CsvZip,
    /// GraphML, XML.
    GraphMl,
    /// Node-link JSON, as NetworkX and D3 use it.
    NodeLink,
    /// CSV files with Neo4j's import headers, in a zip archive.
    Neo4jZip,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 6] =
        [Self::Ndjson, Self::Csv, Self::CsvZip, Self::GraphMl, Self::NodeLink, Self::Neo4jZip];

    /// The media type of a file of this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::CsvZip | Self::Neo4jZip => "application/zip",
            Self::GraphMl => "application/graphml+xml",
            Self::NodeLink => "application/json",
        }
    }

    /// What file names of this format end in, without the first dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::CsvZip => "csv.zip",
            Self::GraphMl => "graphml",
            Self::NodeLink => "json",
            Self::Neo4jZip => "neo4j.zip",
        }
    }

    /// The format of a media type; parameters such as `charset` are ignored. A zip archive is read
    /// as tables or as Neo4j files by what is in it, so both are [`Format::CsvZip`] here.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        Some(match essence.to_ascii_lowercase().as_str() {
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines" => Self::Ndjson,
            "text/csv" | "application/csv" => Self::Csv,
            "application/zip" | "application/x-zip-compressed" => Self::CsvZip,
            "application/graphml+xml" | "application/xml" | "text/xml" => Self::GraphMl,
            "application/json" | "application/vnd.node-link+json" => Self::NodeLink,
            _ => return None,
        })
    }

    /// The format of a file name or of an extension (`nodes.csv`, `csv.zip`, `graph.graphml`).
    pub fn from_extension(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let is = |extension: &str| {
            name.strip_suffix(extension).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let by_own =
            [Self::Neo4jZip, Self::CsvZip, Self::Ndjson, Self::Csv, Self::GraphMl, Self::NodeLink];
        by_own.into_iter().find(|f| is(f.extension())).or_else(|| {
            [("jsonl", Self::Ndjson), ("xml", Self::GraphMl), ("zip", Self::CsvZip)]
                .into_iter()
                .find_map(|(extension, format)| is(extension).then_some(format))
        })
    }
}
