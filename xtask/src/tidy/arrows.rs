//! Which crate may use which: the house table of the design, one row a crate. Only `[dependencies]` and
//! `[build-dependencies]` count; tests may use what they like.

use super::house::line_of;
use super::{Finding, House};

/// A crate and the crates of ours that it may use.
struct Row {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// The layers, bottom up. A crate that is not here may use nothing of ours until it has a row.
const HOUSE: &[Row] = &[
    // 0: words
    Row { name: "kernel", may_use: &[] },
    // 1: pure tools
    Row { name: "wire", may_use: &["kernel"] },
    Row { name: "auth", may_use: &["kernel"] },
    Row { name: "resilience", may_use: &["kernel"] },
    // 2: the five cores, which never see each other
    Row { name: "bus", may_use: &["kernel", "wire", "auth", "resilience"] },
    Row { name: "state", may_use: &["kernel", "wire", "auth", "resilience"] },
    Row { name: "consensus", may_use: &["kernel", "wire", "auth", "resilience"] },
    Row { name: "inference", may_use: &["kernel", "wire", "auth", "resilience"] },
    Row { name: "learning", may_use: &["kernel", "wire", "auth", "resilience"] },
    // 3: one node without IO
    Row {
        name: "fabric",
        may_use: &[
            "kernel",
            "wire",
            "auth",
            "resilience",
            "bus",
            "state",
            "consensus",
            "inference",
            "learning",
        ],
    },
    // 4: adapters, which know the ports and nothing of the cores
    Row { name: "store", may_use: &["kernel", "wire"] },
    Row { name: "backend", may_use: &["kernel", "resilience"] },
    Row { name: "net", may_use: &["kernel", "wire", "auth", "resilience"] },
    Row { name: "model", may_use: &["kernel", "resilience"] },
    Row { name: "gateway", may_use: &["kernel", "fabric", "wire", "auth", "resilience", "net"] },
    // 5: the driver
    Row {
        name: "node",
        may_use: &[
            "kernel",
            "wire",
            "auth",
            "resilience",
            "bus",
            "state",
            "consensus",
            "inference",
            "learning",
            "fabric",
            "store",
            "backend",
            "net",
            "model",
            "gateway",
        ],
    },
    // 6: the binary
    Row { name: "neuroplex", may_use: &["kernel", "wire", "net", "node", "client", "bench"] },
    // beside the layers
    Row { name: "client", may_use: &["kernel", "wire", "auth", "net"] },
    Row { name: "bench", may_use: &["kernel", "wire"] },
    Row {
        name: "testkit",
        may_use: &[
            "kernel",
            "wire",
            "auth",
            "resilience",
            "bus",
            "state",
            "consensus",
            "inference",
            "learning",
            "fabric",
            "store",
        ],
    },
    Row { name: "sim", may_use: &["kernel", "wire", "auth", "bus", "fabric", "store", "testkit"] },
];

/// Finds every arrow that the table does not allow.
pub(crate) fn check(house: &House) -> Vec<Finding> {
    let ours: Vec<&str> =
        house.manifests().map(|(name, ..)| name).chain(HOUSE.iter().map(|row| row.name)).collect();
    let mut findings = Vec::new();
    for (name, path, text) in house.manifests() {
        let Some(row) = HOUSE.iter().find(|row| row.name == name) else {
            findings.push(Finding::new(
                path,
                1,
                format!("crate `{name}` has no row in the house table"),
                "add a row to xtask/src/tidy/arrows.rs, below what may use it",
            ));
            continue;
        };
        match dependencies(text) {
            Ok(names) => findings.extend(
                names
                    .iter()
                    .filter(|used| ours.contains(&used.as_str()) && !row.may_use.contains(&used.as_str()))
                    .map(|used| forbidden(row, path, text, used)),
            ),
            Err(why) => findings.push(Finding::new(path, 1, why, "make it valid TOML")),
        }
    }
    findings
}

fn forbidden(row: &Row, path: &str, text: &str, used: &str) -> Finding {
    let may = if row.may_use.is_empty() { "nothing of ours".into() } else { row.may_use.join(", ") };
    Finding::new(
        path,
        line_of_dependency(text, used),
        format!("`{}` must not use `{used}`", row.name),
        format!("`{}` may use {may}; move what it needs down, or re-export it from one of these", row.name),
    )
}

/// The names of all crates that a manifest depends on outside its tests.
pub(crate) fn dependencies(manifest: &str) -> Result<Vec<String>, String> {
    let table: toml::Table = manifest.parse().map_err(|e: toml::de::Error| e.message().to_owned())?;
    let mut places = vec![&table];
    if let Some(targets) = table.get("target").and_then(toml::Value::as_table) {
        places.extend(targets.values().filter_map(toml::Value::as_table));
    }
    let mut names = Vec::new();
    for place in places {
        for section in ["dependencies", "build-dependencies"] {
            let Some(section) = place.get(section).and_then(toml::Value::as_table) else { continue };
            names.extend(section.iter().map(|(key, value)| {
                let renamed = value.get("package").and_then(toml::Value::as_str);
                renamed.unwrap_or(key).to_owned()
            }));
        }
    }
    Ok(names)
}

/// Where a manifest names a dependency.
pub(crate) fn line_of_dependency(manifest: &str, name: &str) -> usize {
    let named =
        |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(['.', '=']));
    let at = manifest.lines().position(named).or_else(|| Some(line_of(manifest, manifest.find(name)?) - 1));
    1 + at.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_that_points_up_is_found_where_it_stands() {
        let house = House::of(&[(
            "crates/wire/Cargo.toml",
            "[dependencies]\nkernel.workspace = true\nbus = { path = \"../bus\" }\n",
        )]);
        let findings = check(&house);
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].line, findings[0].what.as_str()), (3, "`wire` must not use `bus`"));
    }

    #[test]
    fn cores_do_not_see_each_other_and_the_gateway_does_not_see_them() {
        let uses_state = "[dependencies]\nstate.workspace = true\n";
        let house =
            House::of(&[("crates/bus/Cargo.toml", uses_state), ("crates/gateway/Cargo.toml", uses_state)]);
        assert_eq!(check(&house).len(), 2);
    }

    #[test]
    fn a_renamed_and_a_platform_dependency_are_seen_and_tests_are_free() {
        let manifest = "[dependencies]\nk = { package = \"node\", path = \"../node\" }\n\
             [target.'cfg(unix)'.dependencies]\nfabric.workspace = true\n[dev-dependencies]\ngateway.workspace = true\n";
        let findings = check(&House::of(&[("crates/auth/Cargo.toml", manifest)]));
        let what: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(what, ["`auth` must not use `node`", "`auth` must not use `fabric`"]);
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        assert_eq!(check(&House::of(&[("crates/helpers/Cargo.toml", "[dependencies]\n")])).len(), 1);
    }

    #[test]
    fn the_table_points_down_only() {
        for (at, row) in HOUSE.iter().enumerate().take_while(|(_, row)| row.name != "neuroplex") {
            for used in row.may_use {
                let below = HOUSE.iter().position(|other| other.name == *used);
                assert!(below.is_some_and(|below| below < at), "{} -> {used}", row.name);
            }
        }
    }
}
