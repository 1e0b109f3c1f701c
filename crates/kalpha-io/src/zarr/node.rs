//! Groups and arrays: `.zgroup`, `.zarray`, `.zattrs` of Zarr 2, `zarr.json` of Zarr 3
//! (zarr-specs.readthedocs.io).

use super::store::{METADATA_BYTES, Store, join};
use crate::{
    Input, IoError, npy,
    plain::{Number, NumberKind},
};
use serde_json::{Map, Value};

/// A group or an array with its attributes.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Group(Value),
    Array(Box<ArrayMeta>),
}

/// What the header of an array says.
#[derive(Clone, Debug)]
pub(crate) struct ArrayMeta {
    pub path: String,
    pub shape: Vec<usize>,
    /// Shape of the smallest part that is packed on its own.
    pub chunk: Vec<usize>,
    /// Shape of a file, in chunks, where a file holds several.
    pub shard: Option<Shard>,
    /// The type; `None` where it is no number.
    pub number: Option<Number>,
    pub dtype: String,
    pub fill: Value,
    /// Axis `order[i]` of the array is the `i`-th stored, where they are not in C order.
    pub order: Option<Vec<usize>>,
    /// Applied one after the other when reading.
    pub codecs: Vec<Codec>,
    pub keys: Keys,
    pub attributes: Value,
    pub names: Vec<String>,
}

/// A file of several chunks with an index.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    /// Chunks per file along each axis.
    pub chunks: Vec<usize>,
    pub index_at_end: bool,
    pub index_checksum: bool,
}

/// How the files of chunks are named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    prefix: bool,
    separator: char,
}

/// A step from the bytes of a file to those of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Zlib,
    Zstd,
    Blosc,
    Lz4,
    Crc32c,
    Shuffle(usize),
}

impl ArrayMeta {
    /// The file of a chunk, or of a shard.
    pub fn key(&self, position: &[usize]) -> String {
        let Keys { prefix, separator } = self.keys;
        let mut name = if prefix { "c".to_owned() } else { String::new() };
        for i in position {
            if !name.is_empty() {
                name.push(separator);
            }
            name.push_str(&i.to_string());
        }
        if name.is_empty() {
            name.push('0');
        }
        join(&self.path, &name)
    }
}

/// What a header demands that this reader does not know.
fn unsupported(input: &Input, field: String, got: String, supported: &str) -> IoError {
    IoError::Unsupported {
        file: input.path().to_owned(),
        field,
        got,
        supported: supported.to_owned(),
        hint: "write it again with one of these, for example with zarr-python",
    }
}

const CODECS: &str = "gzip, zlib, zstd, blosc, lz4, crc32c, shuffle, transpose, sharding_indexed";

/// The header at one path.
struct Header<'a> {
    input: &'a Input,
    path: &'a str,
    file: &'static str,
    json: Value,
}

impl Header<'_> {
    fn wrong(&self, key: &str, expected: &str, got: &Value) -> IoError {
        let got: String = got.to_string().chars().take(120).collect();
        self.input.corrupt(0, format!("{} {key}", join(self.path, self.file)), expected, got)
    }

    fn lengths(&self, key: &str, value: &Value) -> Result<Vec<usize>, IoError> {
        let numbers = value.as_array().and_then(|list| {
            list.iter().map(|n| usize::try_from(n.as_u64()?).ok()).collect::<Option<Vec<_>>>()
        });
        numbers.ok_or_else(|| self.wrong(key, "a list of lengths", value))
    }

    fn codec(&self, name: &str, configuration: &Value, width: usize) -> Result<Codec, IoError> {
        Ok(match name.strip_prefix("numcodecs.").unwrap_or(name) {
            "gzip" => Codec::Gzip,
            "zlib" => Codec::Zlib,
            "zstd" => Codec::Zstd,
            "blosc" => Codec::Blosc,
            "lz4" => Codec::Lz4,
            "crc32c" => Codec::Crc32c,
            "shuffle" => {
                let stated = configuration.get("elementsize").and_then(Value::as_u64);
                Codec::Shuffle(stated.map_or(width, |w| w as usize))
            }
            other => {
                let field = format!("{} codec", join(self.path, self.file));
                return Err(unsupported(self.input, field, other.to_owned(), CODECS));
            }
        })
    }

    fn checked(&self, array: ArrayMeta) -> Result<ArrayMeta, IoError> {
        if array.chunk.len() != array.shape.len() || array.chunk.contains(&0) {
            return Err(self.wrong("chunks", "one length above 0 per axis", &self.json["shape"]));
        }
        let mut sorted = array.order.clone().unwrap_or_default();
        sorted.sort_unstable();
        if array.order.is_some() && !sorted.into_iter().eq(0..array.shape.len()) {
            return Err(self.wrong("order", "a permutation of the axes", &self.json));
        }
        Ok(array)
    }

    /// `.zarray` of version 2.
    fn array_2(&self, attributes: Value) -> Result<ArrayMeta, IoError> {
        let header = &self.json;
        let shape = self.lengths("shape", &header["shape"])?;
        let dtype = match &header["dtype"] {
            Value::String(name) => name.clone(),
            other => other.to_string(),
        };
        let number = npy::number(&dtype);
        let width = number.map_or(1, |n| n.width);
        let mut codecs = Vec::new();
        let id = |codec: &Value| codec["id"].as_str().unwrap_or_default().to_owned();
        if !header["compressor"].is_null() {
            codecs.push(self.codec(&id(&header["compressor"]), &header["compressor"], width)?);
        }
        for filter in header["filters"].as_array().into_iter().flatten().rev() {
            // Strings of any length; only metadata has them.
            if id(filter) != "vlen-utf8" {
                codecs.push(self.codec(&id(filter), filter, width)?);
            }
        }
        let order = (header["order"] == "F").then(|| (0..shape.len()).rev().collect());
        let separator = header["dimension_separator"].as_str().and_then(|s| s.chars().next());
        let names = attributes["_ARRAY_DIMENSIONS"].as_array();
        let names = names.into_iter().flatten();
        let names = names.map(|n| n.as_str().unwrap_or_default().to_owned()).collect();
        self.checked(ArrayMeta {
            path: self.path.to_owned(),
            chunk: self.lengths("chunks", &header["chunks"])?,
            shard: None,
            shape,
            number,
            dtype,
            fill: header["fill_value"].clone(),
            order,
            codecs,
            keys: Keys { prefix: false, separator: separator.unwrap_or('.') },
            attributes,
            names,
        })
    }

    /// `zarr.json` of an array of version 3.
    fn array_3(&self) -> Result<ArrayMeta, IoError> {
        let header = &self.json;
        let shape = self.lengths("shape", &header["shape"])?;
        let grid = &header["chunk_grid"];
        if grid["name"] != "regular" {
            let field = join(self.path, "zarr.json chunk_grid");
            return Err(unsupported(self.input, field, grid["name"].to_string(), "regular"));
        }
        let dtype = match &header["data_type"] {
            Value::String(name) => name.clone(),
            other => other["name"].as_str().unwrap_or_default().to_owned(),
        };
        let encoding = &header["chunk_key_encoding"];
        let prefix = encoding["name"] != "v2";
        let separator = encoding["configuration"]["separator"].as_str();
        let separator = separator.and_then(|s| s.chars().next());
        let mut array = ArrayMeta {
            path: self.path.to_owned(),
            chunk: self.lengths("chunk_shape", &grid["configuration"]["chunk_shape"])?,
            shard: None,
            number: number_3(&dtype),
            fill: header["fill_value"].clone(),
            order: None,
            codecs: Vec::new(),
            keys: Keys { prefix, separator: separator.unwrap_or(if prefix { '/' } else { '.' }) },
            attributes: header["attributes"].clone(),
            names: header["dimension_names"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|n| n.as_str().unwrap_or_default().to_owned())
                .collect(),
            shape,
            dtype,
        };
        self.codecs_3(&header["codecs"], &mut array, true)?;
        self.checked(array)
    }

    /// The chain of codecs, in the order in which they were applied.
    fn codecs_3(&self, chain: &Value, array: &mut ArrayMeta, outer: bool) -> Result<(), IoError> {
        let list = chain.as_array().ok_or_else(|| self.wrong("codecs", "a list", chain))?;
        for codec in list {
            // An extension may be named by its name alone.
            let name = codec["name"].as_str().or(codec.as_str()).unwrap_or_default();
            let configuration = &codec["configuration"];
            match name {
                "bytes" => {
                    if let Some(number) = &mut array.number {
                        number.big_endian = configuration["endian"] == "big";
                    }
                }
                "transpose" => {
                    array.order = Some(self.lengths("transpose order", &configuration["order"])?);
                }
                "sharding_indexed" if outer => {
                    let inner = self.lengths("chunk_shape", &configuration["chunk_shape"])?;
                    let fits = inner.len() == array.chunk.len()
                        && inner.iter().zip(&array.chunk).all(|(i, o)| *i > 0 && o % i == 0);
                    if !fits || list.len() != 1 {
                        return Err(self.wrong("sharding", "whole chunks in a shard", codec));
                    }
                    let index = configuration["index_codecs"].as_array();
                    let index = index.into_iter().flatten().filter_map(|c| c["name"].as_str());
                    let index: Vec<&str> = index.collect();
                    if !matches!(index[..], ["bytes"] | ["bytes", "crc32c"]) {
                        let field = join(self.path, "zarr.json index_codecs");
                        let known = "bytes, and crc32c behind it";
                        return Err(unsupported(self.input, field, index.join(", "), known));
                    }
                    array.shard = Some(Shard {
                        chunks: array.chunk.iter().zip(&inner).map(|(o, i)| o / i).collect(),
                        index_at_end: configuration["index_location"] != "start",
                        index_checksum: index.len() == 2,
                    });
                    array.chunk = inner;
                    self.codecs_3(&configuration["codecs"], array, false)?;
                }
                name => {
                    let width = array.number.map_or(1, |n| n.width);
                    array.codecs.insert(0, self.codec(name, configuration, width)?);
                }
            }
        }
        Ok(())
    }
}

fn number_3(name: &str) -> Option<Number> {
    let (kind, bits) = match name {
        "bool" => (NumberKind::Unsigned, "8"),
        name => [
            ("uint", NumberKind::Unsigned),
            ("int", NumberKind::Signed),
            ("float", NumberKind::Float),
        ]
        .into_iter()
        .find_map(|(word, kind)| name.strip_prefix(word).map(|bits| (kind, bits)))?,
    };
    Number::new(kind, bits.parse::<usize>().ok()? / 8, false)
}

/// Reads one JSON document of the store.
fn document(input: &Input, store: &Store, key: &str) -> Result<Option<Value>, IoError> {
    let Some(bytes) = store.get(key, METADATA_BYTES)? else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes);
    let json: Value = parsed.map_err(|error| input.corrupt(0, key, "JSON", error))?;
    match json {
        Value::Object(_) => Ok(Some(json)),
        other => Err(input.corrupt(
            0,
            key,
            "a JSON object",
            other.to_string().chars().take(60).collect::<String>(),
        )),
    }
}

/// The node at a path; `None` where there is none.
pub(crate) fn node(input: &Input, store: &Store, path: &str) -> Result<Option<Node>, IoError> {
    let header = |file, json| Header { input, path, file, json };
    if let Some(json) = document(input, store, &join(path, "zarr.json"))? {
        if json["zarr_format"] != 3 {
            let field = join(path, "zarr.json zarr_format");
            return Err(unsupported(input, field, json["zarr_format"].to_string(), "2 and 3"));
        }
        return match json["node_type"].as_str() {
            Some("array") => {
                header("zarr.json", json).array_3().map(|a| Some(Node::Array(a.into())))
            }
            _ => Ok(Some(Node::Group(json["attributes"].clone()))),
        };
    }
    let attributes = || -> Result<Value, IoError> {
        let found = document(input, store, &join(path, ".zattrs"))?;
        Ok(found.unwrap_or_else(|| Value::Object(Map::new())))
    };
    if let Some(json) = document(input, store, &join(path, ".zarray"))? {
        if json["zarr_format"] != 2 {
            let field = join(path, ".zarray zarr_format");
            return Err(unsupported(input, field, json["zarr_format"].to_string(), "2 and 3"));
        }
        return header(".zarray", json).array_2(attributes()?).map(|a| Some(Node::Array(a.into())));
    }
    match document(input, store, &join(path, ".zgroup"))? {
        Some(_) => Ok(Some(Node::Group(attributes()?))),
        None => Ok(None),
    }
}
