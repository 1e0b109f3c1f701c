//! Corn on three instruments: a calibration of m5 moved to mp5 and mp6 with 20 standards.

use kalpha_process::transfer::calibration::MovedCalibration;

fn table(name: &str) -> Option<Vec<Vec<f64>>> {
    let path = kalpha_reference::path(&format!("data/nir/Cargill_Corn/{name}.csv"))?;
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| line.split(',').map(|v| v.trim().parse().unwrap()).collect();
    Some(text.lines().skip(1).map(row).collect())
}

#[test]
fn corn_from_one_instrument_to_two_others() {
    let Some(reference) = kalpha_reference::path("reference/nir/nir_transfer.json") else { return };
    let reference: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(reference).unwrap()).unwrap();
    let order: Vec<usize> = reference["corn"]["order"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_u64().unwrap() as usize)
        .collect();
    let (Some(master), Some(properties)) = (table("m5_spectra"), table("property_values")) else {
        return;
    };
    let channels = master[0].len();
    // The first 60 of the order calibrate, 20 of them are the standards, the last 20 judge.
    let spectra: Vec<f64> = order[..60].iter().flat_map(|&i| master[i].clone()).collect();
    let standards: Vec<usize> = (0..20).collect();
    let (mut inside, mut all) = (0.0, 0.0);
    for (instrument, bars) in
        [("mp5", [0.19, 0.09, 0.115, 0.34]), ("mp6", [0.21, 0.09, 0.115, 0.35])]
    {
        let Some(slave) = table(&format!("{instrument}_spectra")) else { return };
        let measured: Vec<f64> = order[..20].iter().flat_map(|&i| slave[i].clone()).collect();
        for (k, (name, components)) in
            [("Moisture", 14), ("Oil", 15), ("Protein", 14), ("Starch", 15)].iter().enumerate()
        {
            let property: Vec<f64> = order[..60].iter().map(|&i| properties[i][k]).collect();
            let moved = MovedCalibration::fit(
                &spectra,
                &property,
                channels,
                *components,
                &standards,
                &measured,
            )
            .unwrap();
            let errors: Vec<f64> =
                order[60..].iter().map(|&i| moved.predict(&slave[i]) - properties[i][k]).collect();
            let rmsep = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
            let halves: Vec<f64> =
                order[60..].iter().map(|&i| moved.interval(&slave[i], 0.95)).collect();
            inside +=
                errors.iter().zip(&halves).filter(|(e, half)| e.abs() <= **half).count() as f64;
            // What the width would be for normal errors of the size that is found.
            let width = halves.iter().sum::<f64>() / halves.len() as f64 / (2.09 * rmsep);
            eprintln!("{instrument} {name}: width {width:.2} of that of the errors found");
            all += errors.len() as f64;
            let raw = reference["corn"]["res"][format!("{name}_m5_to_{instrument}_n20")]
                ["RMSEP_slave_uncorrected"]
                .as_f64()
                .unwrap();
            let best =
                moved.candidates.iter().max_by(|a, b| a.weight.total_cmp(&b.weight)).unwrap();
            eprintln!(
                "{instrument} {name}: {rmsep:.4} (bar {}, raw {raw:.3}), cross-validated {:.4}, most \
                 weight {:?} {:.2}",
                bars[k], moved.rmse, best.means, best.weight
            );
            assert!(rmsep <= bars[k], "{instrument} {name}: {rmsep}");
            assert!(rmsep < raw);
        }
    }
    // 160 predictions of 95 %: 91 % is two and a half standard deviations below.
    let covered = inside / all;
    eprintln!("covered {covered}");
    assert!((0.91..=0.99).contains(&covered), "{covered}");
}
