//! Zarr arrays read back by a reader of their own, and targets that cannot be written.

use flate2::read::GzDecoder;
use kalpha_core::{Axis, Unit};
use kalpha_io::{
    IoError,
    write::{Compression, Values, write_bytes, write_csv, write_npy, write_zarr, write_zarr_group},
};
use serde_json::{Map, Value, json};
use std::{fs, io::Read, path::Path};

/// Reads a two-dimensional f64 array after the Zarr 3 specification.
fn read_zarr(path: &Path) -> (Value, Vec<f64>) {
    let text = fs::read_to_string(path.join("zarr.json")).unwrap();
    let header: Value = serde_json::from_str(&text).unwrap();
    let numbers = |v: &Value| -> Vec<usize> {
        v.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
    };
    let shape = numbers(&header["shape"]);
    let chunk = numbers(&header["chunk_grid"]["configuration"]["chunk_shape"]);
    let gzip = header["codecs"].as_array().unwrap().len() == 2;
    let mut out = vec![f64::NAN; shape[0] * shape[1]];
    for i in 0..shape[0].div_ceil(chunk[0]) {
        for j in 0..shape[1].div_ceil(chunk[1]) {
            let mut bytes = fs::read(path.join(format!("c/{i}/{j}"))).unwrap();
            if gzip {
                let mut plain = Vec::new();
                GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
                bytes = plain;
            }
            assert_eq!(bytes.len(), chunk[0] * chunk[1] * 8);
            for (k, value) in bytes.chunks_exact(8).enumerate() {
                let (r, c) = (i * chunk[0] + k / chunk[1], j * chunk[1] + k % chunk[1]);
                if r < shape[0] && c < shape[1] {
                    out[r * shape[1] + c] = f64::from_le_bytes(value.try_into().unwrap());
                }
            }
        }
    }
    (header, out)
}

fn axes(n: usize, m: usize) -> [Axis; 2] {
    let x = Axis::linear("x", Unit::Nanometre, 0.0, 0.5, m).unwrap();
    [Axis::values("y", Unit::Micrometre, (0..n).map(|i| (i * i) as f64).collect()), x]
}

#[test]
fn zarr_arrays_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("maps.zarr/Fe");
    let attributes: Map<String, Value> = json!({"unit": "wt%"}).as_object().unwrap().clone();
    write_zarr_group(&dir.path().join("maps.zarr"), &attributes).unwrap();
    // The second is cut into chunks with a ragged edge.
    for (n, m) in [(3, 4), (1100, 1500)] {
        for compression in [Compression::None, Compression::Gzip] {
            let values: Vec<f64> = (0..n * m).map(|i| (i % 977) as f64 - 0.5).collect();
            let axes = axes(n, m);
            write_zarr(&path, &axes, Values::F64(&values), &attributes, compression).unwrap();
            let (header, read) = read_zarr(&path);
            assert_eq!(read, values);
            assert_eq!(header["dimension_names"], json!(["y", "x"]));
            assert_eq!(header["attributes"]["unit"], "wt%");
            let x = &header["attributes"]["axes"][1];
            assert_eq!(
                *x,
                json!({"name": "x", "units": "nm", "size": m, "offset": 0.0, "scale": 0.5})
            );
            assert_eq!(header["attributes"]["axes"][0]["axis"].as_array().unwrap().len(), n);
        }
    }
    let names: Vec<_> = fs::read_dir(dir.path().join("maps.zarr")).unwrap().collect();
    assert_eq!(names.len(), 2, "no temporary folder stays: {names:?}");
}

#[test]
fn a_foreign_folder_is_not_overwritten_by_an_array() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("chapter"), "x").unwrap();
    let result =
        write_zarr(dir.path(), &axes(1, 1), Values::F64(&[1.0]), &Map::new(), Compression::None);
    assert!(matches!(result, Err(IoError::ForeignFolder { .. })));
    assert!(dir.path().join("chapter").exists());
}

#[test]
fn what_cannot_be_written_is_said_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("no/such/folder/x");
    let none = Map::new();
    let results = [
        write_bytes(&missing, b"x"),
        write_csv(&missing, &["a"], []),
        write_npy(&missing, &[1], Values::F64(&[1.0])),
        write_zarr(&missing, &axes(1, 1), Values::F64(&[1.0]), &none, Compression::None),
    ];
    for result in results {
        let error = result.unwrap_err();
        assert!(matches!(&error, IoError::Write { path, .. } if *path == missing), "{error}");
        assert!(error.to_string().contains("hint"), "{error}");
    }
    let path = dir.path().join("x");
    assert!(write_npy(&path, &[2], Values::F64(&[1.0])).is_err());
    assert!(write_zarr(&path, &axes(2, 1), Values::F64(&[1.0]), &none, Compression::None).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// A device that is always full stands for a full disk.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_keeps_the_old_file() {
    use kalpha_io::write::write_file;
    use std::io::{self, Write};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    write_bytes(&path, b"old").unwrap();
    let result = write_file(&path, |w| {
        w.write_all(b"half of the new")?;
        let mut full = fs::OpenOptions::new().write(true).open("/dev/full")?;
        full.write_all(b"x")?;
        full.flush()
    });
    let error = result.unwrap_err();
    assert!(
        matches!(&error, IoError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
